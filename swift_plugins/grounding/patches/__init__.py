"""Patches of other libraries, one file per problem."""
