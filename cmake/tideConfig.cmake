# find_package(tide) gives tide::tide (shared) and tide::tide_static. The host brings its own Lua.
include(CMakeFindDependencyMacro)
list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR}) # FindLibev
find_dependency(Libev)
find_dependency(Threads)
list(POP_FRONT CMAKE_MODULE_PATH)
include(${CMAKE_CURRENT_LIST_DIR}/tideTargets.cmake)
