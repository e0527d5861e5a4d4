dist_man8_MANS = doc/aderescue.8
EXTRA_DIST += doc/architecture.md doc/json.md doc/undo-format.md doc/rules.md doc/aderescue.schema.json
