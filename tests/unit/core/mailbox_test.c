/* The mailbox: order and completeness from several threads, one wake for many letters, closing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "core/mailbox.h"

enum { SENDER_COUNT = 2, LETTER_COUNT = 20000 };

struct letter {
    struct mail mail; /* first member */
    unsigned sender;
    unsigned number;
};

struct receiver {
    struct mailbox box;
    unsigned next[SENDER_COUNT]; /* number that each sender's next letter must have */
    unsigned out_of_order_count;
    unsigned delivered_count;
    unsigned close_at_count;
};

static void deliver(struct mail *mail, void *user)
{
    struct letter *letter = (struct letter *)mail;
    struct receiver *receiver = user;

    if (letter->number != receiver->next[letter->sender]) {
        receiver->out_of_order_count++;
    }
    receiver->next[letter->sender] = letter->number + 1;
    receiver->delivered_count++;
    if (receiver->delivered_count == receiver->close_at_count) {
        mailbox_close(&receiver->box);
    }
}

struct sender {
    struct mailbox *box;
    struct letter *letters;
    unsigned refused_count;
};

static void *send_all(void *user)
{
    struct sender *sender = user;

    for (unsigned i = 0; i < LETTER_COUNT; i++) {
        if (!mailbox_post(sender->box, &sender->letters[i].mail)) {
            sender->refused_count++;
        }
    }
    return NULL;
}

static struct letter *make_letters(unsigned sender, unsigned count)
{
    struct letter *letters = calloc(count, sizeof *letters);

    assert_non_null(letters);
    for (unsigned i = 0; i < count; i++) {
        letters[i] = (struct letter){.mail = {.deliver = deliver}, .sender = sender, .number = i};
    }
    return letters;
}

static void test_two_senders(void **state)
{
    struct receiver receiver = {.close_at_count = SENDER_COUNT * LETTER_COUNT};
    struct sender senders[SENDER_COUNT];
    pthread_t threads[SENDER_COUNT];
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(mailbox_init(&receiver.box, &loop, &receiver), 0);
    for (unsigned i = 0; i < SENDER_COUNT; i++) {
        senders[i] = (struct sender){.box = &receiver.box, .letters = make_letters(i, LETTER_COUNT)};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    for (unsigned i = 0; i < SENDER_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(senders[i].refused_count, 0);
        assert_int_equal(receiver.next[i], LETTER_COUNT);
        free(senders[i].letters);
    }
    assert_int_equal(receiver.out_of_order_count, 0);
    assert_int_equal(receiver.delivered_count, SENDER_COUNT * LETTER_COUNT);
    mailbox_deinit(&receiver.box);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* Ten letters while the loop sleeps are one wake and one delivery of ten. */
static void test_one_wake(void **state)
{
    struct receiver receiver = {.close_at_count = 0};
    struct letter *letters = make_letters(0, 10);
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(mailbox_init(&receiver.box, &loop, &receiver), 0);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(mailbox_post(&receiver.box, &letters[i].mail));
    }
    assert_int_equal(receiver.delivered_count, 0);
    (void)uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(receiver.delivered_count, 10);
    assert_int_equal(receiver.out_of_order_count, 0);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(receiver.delivered_count, 10);

    /* Emptied, it wakes the loop again. */
    letters[0].number = 10;
    assert_true(mailbox_post(&receiver.box, &letters[0].mail));
    (void)uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(receiver.delivered_count, 11);
    mailbox_close(&receiver.box);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    mailbox_deinit(&receiver.box);
    assert_int_equal(uv_loop_close(&loop), 0);
    free(letters);
}

static void test_drain_needs_no_wake(void **state)
{
    struct receiver receiver = {.close_at_count = 0};
    struct letter *letters = make_letters(0, 2);
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(mailbox_init(&receiver.box, &loop, &receiver), 0);
    assert_true(mailbox_post(&receiver.box, &letters[0].mail));
    mailbox_drain(&receiver.box);
    assert_int_equal(receiver.delivered_count, 1);
    assert_true(mailbox_post(&receiver.box, &letters[1].mail));
    mailbox_close(&receiver.box); /* delivers what is left */
    assert_int_equal(receiver.delivered_count, 2);
    mailbox_close(&receiver.box); /* twice does no harm */
    assert_false(mailbox_post(&receiver.box, &letters[0].mail));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(receiver.delivered_count, 2);
    mailbox_deinit(&receiver.box);
    assert_int_equal(uv_loop_close(&loop), 0);
    free(letters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_senders),
        cmocka_unit_test(test_one_wake),
        cmocka_unit_test(test_drain_needs_no_wake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
