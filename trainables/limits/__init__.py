"""How far a layer can reach, known before it is trained."""
