"""Measurements that documents cite. Each module is run by itself and writes bench/NAME.json."""
