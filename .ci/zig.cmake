# Cross-compiles with clang and the system headers that come with Zig; .ci/cross-compile sets the variables.
set(CMAKE_SYSTEM_NAME $ENV{ZIG_SYSTEM})
set(CMAKE_SYSTEM_PROCESSOR $ENV{ZIG_PROCESSOR})
set(CMAKE_C_COMPILER $ENV{ZIG_CC})
# Nothing of this machine's is linked.
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH $ENV{ZIG_ROOT})
