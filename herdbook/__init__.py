"""The library of Herdbook: what more than one stage needs."""
