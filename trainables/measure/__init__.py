"""The measure, pure: the ladder, reliability, certificates, and what is reported."""
