"""Strict YAML: text in; documents of plain Python values out, each value with its position.

YAML 1.2's core schema, and less: no anchors, aliases, merge keys, tags or complex keys, no key twice, and
nothing that YAML 1.1 and 1.2 read differently. What a reviewer sees is what is applied. It must not know
manifests. Spec: https://yaml.org/spec/1.2.2/#103-core-schema
"""
