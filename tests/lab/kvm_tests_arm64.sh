#!/bin/sh
# Inside the arm64 lab: the backend's own tests and the machine's, where no KVM is a failure.
export HUSK_NEED_KVM=1
kvm_test --gtest_brief=1 && runtime_test --gtest_brief=1
