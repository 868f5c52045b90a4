"""What tests of executors and of embedded services need: a store in memory, a clock that jumps."""
