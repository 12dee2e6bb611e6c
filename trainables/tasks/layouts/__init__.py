"""How the user's rows lie about: in which files, in which formats, in which columns."""
