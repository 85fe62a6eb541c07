/* A name server that does not answer holds up neither a stop nor the loop: this program's getaddrinfo stands
 * in for the C library's, in the thread in which libcurl calls it. */
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "exporters/otlp/http_loop.h"

enum { RESOLVER_S_MAX = 5 }; /* an end to it even where it is waited for */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_asked;
    bool may_answer;
    bool has_answered;
} resolver = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    struct timespec until;

    (void)name;
    (void)service;
    (void)hints;
    (void)result;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RESOLVER_S_MAX;
    (void)pthread_mutex_lock(&resolver.mutex);
    resolver.is_asked = true;
    (void)pthread_cond_broadcast(&resolver.changed);
    while (!resolver.may_answer && pthread_cond_timedwait(&resolver.changed, &resolver.mutex, &until) == 0) {
    }
    resolver.has_answered = true;
    (void)pthread_cond_broadcast(&resolver.changed);
    (void)pthread_mutex_unlock(&resolver.mutex);
    return EAI_AGAIN;
}

static bool is_asked(void)
{
    (void)pthread_mutex_lock(&resolver.mutex);
    bool asked = resolver.is_asked;
    (void)pthread_mutex_unlock(&resolver.mutex);
    return asked;
}

/* Lets it answer, and waits until it has; whether it had before. */
static bool release_resolver(void)
{
    (void)pthread_mutex_lock(&resolver.mutex);
    bool had_answered = resolver.has_answered;
    resolver.may_answer = true;
    (void)pthread_cond_broadcast(&resolver.changed);
    while (!resolver.has_answered) {
        (void)pthread_cond_wait(&resolver.changed, &resolver.mutex);
    }
    resolver.is_asked = resolver.may_answer = resolver.has_answered = false;
    (void)pthread_mutex_unlock(&resolver.mutex);
    return had_answered;
}

struct request {
    uv_loop_t loop;
    struct http_loop http;
    CURL *easy;
    int ended_count;
    CURLcode result;
    int closed_count;
};

static void on_ended(void *user, CURLcode result)
{
    struct request *request = user;

    request->ended_count++;
    request->result = result;
}

static void on_closed(void *user)
{
    ((struct request *)user)->closed_count++;
}

static void start(struct request *request, long timeout_ms)
{
    *request = (struct request){.http = {.ended = on_ended, .closed = on_closed}};
    request->http.user = request;
    assert_int_equal(uv_loop_init(&request->loop), 0);
    assert_int_equal(http_loop_init(&request->http, &request->loop), 0);
    request->easy = curl_easy_init();
    assert_non_null(request->easy);
    (void)curl_easy_setopt(request->easy, CURLOPT_URL, "http://a-name.invalid:1/");
    (void)curl_easy_setopt(request->easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(request->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(request->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    assert_int_equal(http_loop_start(&request->http, request->easy), 0);
    while (!is_asked()) {
        (void)uv_run(&request->loop, UV_RUN_ONCE);
    }
}

static void stop(struct request *request)
{
    curl_easy_cleanup(request->easy);
    (void)uv_run(&request->loop, UV_RUN_DEFAULT);
    assert_int_equal(request->closed_count, 1);
    assert_int_equal(uv_loop_close(&request->loop), 0);
}

static void a_stop_does_not_wait_for_a_name(void **state)
{
    struct request request;

    (void)state;
    start(&request, 60000);
    http_loop_close(&request.http);
    stop(&request);
    assert_false(release_resolver()); /* all that while it was still looking */
    assert_int_equal(request.ended_count, 0);
}

static void a_timeout_does_not_wait_for_a_name(void **state)
{
    struct request request;

    (void)state;
    start(&request, 50);
    while (request.ended_count == 0) {
        (void)uv_run(&request.loop, UV_RUN_ONCE);
    }
    assert_false(release_resolver());
    assert_int_equal(request.result, CURLE_OPERATION_TIMEDOUT);
    http_loop_close(&request.http);
    stop(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_does_not_wait_for_a_name),
        cmocka_unit_test(a_timeout_does_not_wait_for_a_name),
    };

    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed_count = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed_count;
}
