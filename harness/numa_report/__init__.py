"""From a machine to a plan of cells, from cells to statistics, from statistics to pictures."""
