"""For tests of code that uses bfpemu: hypothesis strategies (needs the extra ``test``)."""
