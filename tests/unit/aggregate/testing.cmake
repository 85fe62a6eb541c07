# The profiles' golden texts are made by the encoders that serve them, and read by Prometheus' own parser where it
# is installed. (promtool refuses names that are not ours to choose.)
list(APPEND WEFT_TEST_LIBRARIES weft_prometheus)
find_program(WEFT_VENV_PYTHON python3 PATHS ${PROJECT_SOURCE_DIR}/build/venv/bin NO_DEFAULT_PATH)
if(WEFT_VENV_PYTHON)
  file(GLOB texts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/golden/profiles/*.txt)
  add_test(NAME golden_profiles_openmetrics
    COMMAND ${WEFT_VENV_PYTHON} ${PROJECT_SOURCE_DIR}/tests/unit/prometheus/parse_openmetrics.py ${texts})
endif()
