#!/bin/sh
# Inside the arm64 lab: the backend's own tests, where no KVM is a failure.
HUSK_NEED_KVM=1 exec kvm_test --gtest_brief=1
