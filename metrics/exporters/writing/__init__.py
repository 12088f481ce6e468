"""How things become text, and text becomes what is sent. Nothing here knows a registry.

Names are written as `paths` and `tags`, sentences and facts as `texts`, numbers as `decimals`,
`floats`, `quantities` and `objects` of JSON, units as `ucum`, and times as `times`; `chunks` and
`datagrams` are what is sent. `numbers` says what a number is.
"""
