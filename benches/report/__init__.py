"""What `make bench` measures. A module measures one subject and prints its table; benches/run takes them in turn.

- settings: what the environment asks for;
- build: the programs at the ends; process: running them;
- summary: medians over the rounds, and ratios to raw quinn of the same round;
- throughput, round_trips, sessions, broadcast, link, reliability: the subjects;
- goals: what the figures are held against.

A subject is a class with `name`, `seconds` (what a round takes, about), `round(number)`, `finish()` (what is measured once,
after the rounds), `rows()` and `print(rows)`.
"""
