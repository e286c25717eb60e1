// Intentionally without code: the shared library is made of the folders' libraries.
