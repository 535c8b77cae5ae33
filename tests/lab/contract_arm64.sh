#!/bin/sh
# Inside the arm64 lab: the seam's contract on KVM. Every test counts: one may be left out for what the architecture does
# not have or Linux 6.1's KVM cannot (its hypercalls come out since 6.4), and for nothing else, such as a KVM that is not
# there.
seam_contract_test --gtest_brief=1 > /tmp/out 2>&1
status=$?
cat /tmp/out
if ! grep -q '^contract: kvm: [1-9][0-9]* passed, 0 failed,' /tmp/out; then
  echo "FAILED: no test of the contract passed, or not all did"
  exit 1
fi
if sed -n 's/^  [A-Za-z]*: //p' /tmp/out | grep -v -e '^this architecture has no ' -e 'no KVM_ARM_VM_SMCCC_FILTER)$'; then
  echo "FAILED: tests of the contract were left out for the reason above"
  exit 1
fi
exit $status
