"""SCIM 2.0: an identity provider says who there is, in which groups, and above all who no more."""
