# MicroPython's board of the same name, with our settings of ESP-IDF after its own.
include(boards/ESP32_GENERIC_C3/mpconfigboard.cmake)
list(APPEND SDKCONFIG_DEFAULTS ${CMAKE_CURRENT_LIST_DIR}/sdkconfig.board)
