// <linux/kvm.h>, as a C++ compiler has to see it. Its lists end in arrays behind an empty struct,
// which has a size in C++: up to Linux 6.5 the headers would give every such call another number.
#pragma once

#include <linux/stddef.h>
#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(type, name) type name[]
#include <linux/kvm.h>

static_assert(sizeof(kvm_irq_routing) == 8);
#ifdef __x86_64__
static_assert(sizeof(kvm_cpuid2) == 8 && sizeof(kvm_msrs) == 8);
#endif
