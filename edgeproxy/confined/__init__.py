"""Work that is not trusted, in processes that may do next to nothing: ended at any time, and nobody else hurt."""
