"""The pipeline: exchanges, the middleware base class, and the chain a route's stages compile to."""
