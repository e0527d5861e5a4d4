# SPDX-License-Identifier: MIT
# The targets with libFuzzer; called by tests/fuzz/run, which sets CC, TOP, DIR, CFLAGS and LIBS.
SAN = address,undefined
SRC := $(shell cd $(TOP) && find src -name '*.c' ! -path src/main.c | sort)
OBJ := $(patsubst src/%.c,$(DIR)/obj/%.o,$(SRC))

$(DIR)/obj/%.o: $(TOP)/src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -fsanitize=fuzzer-no-link,$(SAN) -c $< -o $@
$(DIR)/lib.a: $(OBJ)
	@rm -f $@
	ar rcs $@ $^
$(DIR)/fuzz-%: $(TOP)/tests/fuzz/fuzz-%.c $(TOP)/tests/fuzz/fuzz.h $(TOP)/tests/fuzz/luks.h $(TOP)/tests/fuzz/replay.h $(DIR)/lib.a
	$(CC) $(CFLAGS) -DWITH_LIBFUZZER -fsanitize=fuzzer,$(SAN) $< $(DIR)/lib.a -o $@ $(LIBS)
.SECONDARY: $(OBJ)
-include $(OBJ:.o=.d)
