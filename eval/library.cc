// Intentionally without code: the shared library is made of the library of its folder.
