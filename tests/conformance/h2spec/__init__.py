"""The cases of h2spec (github.com/summerwind/h2spec, MIT), by its numbers, in our own words and code."""
