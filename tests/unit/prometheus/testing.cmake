add_library(prometheus_failing_memory STATIC ${CMAKE_CURRENT_LIST_DIR}/failing_memory.c)
target_link_libraries(prometheus_failing_memory PUBLIC weft_options -Wl,--wrap=calloc,--wrap=realloc)
list(APPEND WEFT_TEST_LIBRARIES weft_proto prometheus_failing_memory)

# The golden texts by other people's readers, where they are installed.
find_program(PROMTOOL promtool)
if(PROMTOOL)
  add_test(NAME golden_prometheus_promtool
    COMMAND sh -c "${PROMTOOL} check metrics < ${PROJECT_SOURCE_DIR}/tests/golden/prometheus/text.txt")
endif()
find_program(WEFT_VENV_PYTHON python3 PATHS ${PROJECT_SOURCE_DIR}/build/venv/bin NO_DEFAULT_PATH)
if(WEFT_VENV_PYTHON)
  add_test(NAME golden_prometheus_openmetrics
    COMMAND ${WEFT_VENV_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/parse_openmetrics.py
      ${PROJECT_SOURCE_DIR}/tests/golden/prometheus/openmetrics.txt
      ${PROJECT_SOURCE_DIR}/tests/golden/prometheus/openmetrics_plain.txt)
endif()

# The scrape examples, by Prometheus' own checker and against each other.
if(WEFT_VENV_PYTHON AND PROMTOOL)
  add_test(NAME docs_prometheus
    COMMAND ${WEFT_VENV_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/check_scrape_examples.py ${PROJECT_SOURCE_DIR} ${PROMTOOL})
endif()

add_test(NAME docs_metrics COMMAND ${PROJECT_SOURCE_DIR}/scripts/generate-docs --check)
