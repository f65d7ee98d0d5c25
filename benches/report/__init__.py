"""What `make bench` measures. A module measures one subject and prints its table; benches/run takes them in turn.

- settings: what the environment asks for;
- build: the programs at the ends; process: running them;
- summary: medians over the rounds, and ratios to raw quinn of the same round;
- simulated: the seeded link between two ends;
- throughput, round_trips, sessions, broadcast, flood, urgent, reliability: the subjects;
- goals: what the figures are held against; progress: what is said meanwhile.

A subject is a class with `name`, `paths` (none if nothing of it was asked for), `round(number)`, `finish()` (what is measured
once, after the rounds), `rows()` and `print(rows)`.
"""
