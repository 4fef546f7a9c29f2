"""A board as a page that one can sort, filter and link to: one HTML file, which needs no network."""
