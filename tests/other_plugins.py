"""A pytest that a test starts is without the plugins that only this project's own tests use.

They take longer to load than all the rest of it takes.
"""

ALONE = "-p no:anyio -p no:hypothesispytest -p no:schemathesis"
