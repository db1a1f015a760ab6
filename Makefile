# Builds the hypervisor, build/plastron.elf, and the host unit tests.
#   make         build/plastron.elf (with debug information, for addr2line)
#   make unit    build and run every tests/unit/test_*.c
#   make fuzz    build every fuzzer of tests/fuzz into build/fuzz
#   make clean

BUILD ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

DIRS ?= boot cpu lib debug vm vm/real vmx nested mmu
SRCS := $(foreach d,$(DIRS),$(wildcard src/$(d)/*.c src/$(d)/*.S))
OBJS := $(patsubst src/%,$(BUILD)/obj/%.o,$(SRCS))

WARN := -Wall -Wextra -Wshadow -Wvla
CFLAGS_L0 := -std=gnu11 -O2 -g -ffreestanding -fno-strict-aliasing \
	-mno-red-zone -mgeneral-regs-only -fno-stack-protector -mcmodel=kernel \
	-fno-pic -fno-asynchronous-unwind-tables -fcf-protection=none $(WARN)
CPPFLAGS_L0 := -Iinclude -Isrc -Isrc/vm/ops -isystem src/lib/freestanding
LDFLAGS_L0 := -static -nostdlib -Wl,--build-id=none \
	-Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments

# The engine mixes widths all day; there no conversion may be silent.
$(BUILD)/obj/nested/%.o $(BUILD)/obj/mmu/%.o: WARN += -Wconversion

all: $(BUILD)/plastron.elf

$(BUILD)/plastron.elf: $(OBJS) src/boot/plastron.lds
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_L0) -T src/boot/plastron.lds -o $@ $(OBJS)

$(BUILD)/obj/%.o: src/% Makefile
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_L0) $(CPPFLAGS_L0) -MMD -MP -c -o $@ $<

# BUILD as seen from tests/unit; not absolute if it need not be: make knows no names with blanks.
BELOW := $(if $(filter /%,$(BUILD)),,../../)$(BUILD)

unit:
	$(Q)+$(MAKE) -j$(shell nproc) --no-print-directory -C tests/unit BUILD=$(BELOW) V=$(V)

fuzz:
	$(Q)+$(MAKE) -j$(shell nproc) --no-print-directory -C tests/fuzz BUILD=$(BELOW) V=$(V)

clean:
	rm -rf $(BUILD)/obj $(BUILD)/host $(BUILD)/unit $(BUILD)/fuzz/obj $(BUILD)/plastron.elf

-include $(OBJS:.o=.d)

.PHONY: all unit fuzz clean
