# The pages for people, held to what the agent is built from, and to its programs.
add_test(NAME docs_pages
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/check_pages.py ${PROJECT_SOURCE_DIR} $<TARGET_FILE:weftd> $<TARGET_FILE:weft>)
set_tests_properties(docs_pages PROPERTIES TIMEOUT 60)
