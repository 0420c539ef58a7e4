"""From samples to statistics, from statistics to words and pictures."""
