"""What a workload, dataset, model version, signature, endpoint, deployment *is*.

Belongs here: the nouns that every pillar shares, as frozen values that check themselves.
Does not belong here: a rule of one pillar.
Imports: `errors`.
"""
