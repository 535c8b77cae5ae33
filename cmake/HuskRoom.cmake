# husk_room(NAME [DEPS room...] [LIBS library...] [FOLDERS folder...]): the static library husk_NAME from
# every *.cc of the folder and of FOLDERS below it, and one test program NAME_test from every *_test.cc
# beside them. Globs are re-checked at build time, so a new file, and above all a new test, cannot be left out.

add_library(husk_flags INTERFACE)
target_compile_options(husk_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror)
target_include_directories(husk_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(husk_flags INTERFACE Threads::Threads)
if(HUSK_SANITIZE)
  target_compile_options(husk_flags INTERFACE -fsanitize=${HUSK_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(husk_flags INTERFACE -fsanitize=${HUSK_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")  # GCC's names of warnings; and its library uses what C++23 calls old
    target_compile_options(husk_flags INTERFACE -Wno-unknown-warning-option -Wno-deprecated-declarations)
  endif()
  if(HUSK_SANITIZE MATCHES thread)  # it knows no fences: none of ours orders host data alone
    target_compile_options(husk_flags INTERFACE -Wno-tsan)
  endif()
endif()

# A test's own code: nobody waits for it to run, so it is made to compile fast. UBSan looks at what is tested. As a property of
# the sources it comes behind the options of the target's libraries, which would have the last word.
function(husk_test_code target)
  target_compile_options(${target} PRIVATE -Og)
  if(HUSK_SANITIZE MATCHES undefined)
    get_target_property(sources ${target} SOURCES)
    list(FILTER sources INCLUDE REGEX "\\.cc$")
    set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS -fno-sanitize=undefined)
  endif()
endfunction()

# Sources that call code which was written at run time: no type stands before it, where Clang's UBSan would look for one.
function(husk_calls_written_code)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -fno-sanitize=function)
  endif()
endfunction()

# For one test program, in seconds; an emulated processor takes its time, and so do sanitizers.
set(HUSK_TEST_TIMEOUT 120)
if(CMAKE_CROSSCOMPILING OR HUSK_SANITIZE)
  set(HUSK_TEST_TIMEOUT 600)
endif()

function(husk_room name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS;FOLDERS" ${ARGN})
  list(TRANSFORM ARG_FOLDERS APPEND /*.cc OUTPUT_VARIABLE below)
  file(GLOB sources CONFIGURE_DEPENDS *.cc ${below})
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(TRANSFORM ARG_DEPS PREPEND husk_)
  if(sources)
    add_library(husk_${name} STATIC ${sources})
    target_link_libraries(husk_${name} PUBLIC husk_flags ${ARG_DEPS} ${ARG_LIBS})
  else()
    add_library(husk_${name} INTERFACE)
    target_link_libraries(husk_${name} INTERFACE husk_flags ${ARG_DEPS} ${ARG_LIBS})
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    husk_test_code(${name}_test)
    target_link_libraries(${name}_test PRIVATE husk_${name} GTest::gmock GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name}_test)
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT ${HUSK_TEST_TIMEOUT})
  endif()
endfunction()
