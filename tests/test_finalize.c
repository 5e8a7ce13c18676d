/* From chapters 4, 6 and 10 of The Invisible Janitor; made by make tangle. */
/* test_finalize.c: the tests of Chapter 6. */
#include "support.h"
#include <errno.h>

/* a speaker */
typedef struct speaker {
    gc_object base;
    struct speaker *left, *right;
    const char *name;
    void (*act)(struct speaker *s); /* or NULL */
} speaker;

static char said[2000];
static speaker *saved;

static void speak(void *object)
{
    speaker *s = object;

    strcat(strcat(said, s->name), " ");
    if (s->act != NULL)
        s->act(s);
}

static const gc_field speaker_fields[] = {
    GC_FIELD(speaker, left), GC_FIELD(speaker, right), GC_END
};

static void speaker_repr(const void *object, char *text, size_t size)
{
    snprintf(text, size, "%s", ((const speaker *)object)->name);
}

static const gc_type speaker_type = {
    .name = "speaker", .size = sizeof(speaker),
    .fields = speaker_fields, .repr = speaker_repr,
    .finalize = speak,
};

static const gc_type mute_type = {
    .name = "mute", .size = sizeof(speaker),
    .fields = speaker_fields, .repr = speaker_repr,
};

static const gc_type legacy_type = {
    .name = "legacy", .size = sizeof(speaker),
    .fields = speaker_fields, .repr = speaker_repr,
    .legacy_finalize = speak,
};

static speaker *new_speaker(gc_heap *heap, const gc_type *type,
                            const char *name)
{
    speaker *s = gc_new(heap, type);

    s->name = name;
    return s;
}

static void assert_said(const char *text)
{
    assert_string_equal(said, text);
    said[0] = '\0';
}

static void save(speaker *s)
{
    saved = gc_new_ref(s);
}

/* One that refers to itself, or two that refer to each other; the
 * test owns a reference to the first. */
static speaker *new_ring(gc_heap *heap, const gc_type *type,
                         const char *one, const char *two)
{
    speaker *s = new_speaker(heap, type, one), *other = s;

    if (two != NULL) {
        gc_incref(s);
        other = s->left = new_speaker(heap, type, two);
        s->left->left = s;
        return s;
    }
    gc_set_field(&s->left, other);
    return s;
}

/* tests of finalizers */
static void look_left(speaker *s)
{
    strcat(strcat(said, "sees "), s->left->name);
    strcat(said, " ");
}

static void test_death_by_count(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_speaker(heap, &speaker_type, "a");

    (void)state;
    a->left = new_speaker(heap, &speaker_type, "b");
    a->act = look_left;
    assert_false(gc_is_finalized(a));
    gc_decref(a);
    assert_said("a sees b b ");
    assert_int_equal(gc_heap_free(heap), 0);
    assert_said("");
}

static void test_resurrection_by_count(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_speaker(heap, &speaker_type, "a");

    (void)state;
    a->left = new_speaker(heap, &speaker_type, "b");
    a->act = save;
    gc_decref(a);
    assert_said("a ");
    assert_ptr_equal(saved, a);
    assert_int_equal(gc_refcount(a), 1);
    assert_true(gc_is_tracked(a));
    assert_true(gc_is_finalized(a));
    assert_false(gc_is_finalized(a->left));
    assert_string_equal(a->left->name, "b");
    gc_decref(a);
    assert_said("b ");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_who_speaks_again(void **state)
{
    gc_type atom_type = { .name = "atom", .size = sizeof(speaker),
                          .finalize = speak };
    const gc_type *types[] = { &atom_type, &legacy_type };
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    for (int i = 0; i < 2; i++) {
        speaker *s = new_speaker(heap, types[i], "s");
        s->act = save;
        gc_decref(s);
        gc_decref(s);
        assert_said("s s ");
        assert_false(gc_is_finalized(s));
        s->act = NULL;
        gc_decref(s);
        assert_said("s ");
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_all_speak_first(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_ring(heap, &speaker_type, "a", "b");

    (void)state;
    a->act = a->left->act = look_left;
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 2);
    assert_said("a sees b b sees a ");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_resurrection_is_transitive(void **state)
{
    gc_stats stats[GC_GENERATIONS];
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_ring(heap, &speaker_type, "a", "b");
    speaker *c = new_ring(heap, &speaker_type, "c", "d");

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    a->act = save;
    a->left->right = new_speaker(heap, &mute_type, "e");
    gc_decref(a);
    gc_decref(c);
    assert_int_equal(gc_collect(heap), 2);
    gc_get_stats(heap, stats);
    assert_int_equal(stats[2].collected, 2);
    assert_said("a b c d ");
    assert_int_equal(gc_heap_count(heap), 3);
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(saved);
    assert_int_equal(gc_collect(heap), 3);
    assert_said("");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void let_go_left(speaker *s)
{
    gc_clear_field(&s->left);
}

static void test_suicide(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_ring(heap, &speaker_type, "a", "b");
    speaker *c = new_ring(heap, &speaker_type, "c", NULL);

    (void)state;
    a->act = c->act = let_go_left;
    gc_decref(a);
    gc_decref(c);
    assert_int_equal(gc_collect(heap), 0);
    assert_said("a b c ");
    assert_int_equal(gc_heap_count(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void build(gc_heap *heap, int kind, speaker *n[4])
{
    static const int left[4][4] = {
        { 1, 2, 3, 0 }, { 3, 0, 1, 2 }, { 1, 0, 3, 2 }, { 3, 3, -1, 1 }
    };
    static const char *const names[] = { "a", "b", "c", "d" };

    for (int i = 0; i < 4; i++)
        n[i] = new_speaker(heap, &speaker_type, names[i]);
    for (int i = 0; i < 4; i++)
        if (left[kind][i] >= 0)
            gc_set_field(&n[i]->left, n[left[kind][i]]);
    if (kind >= 2)
        gc_set_field(&n[3]->right, n[0]);
    if (kind == 3) {
        gc_set_field(&n[0]->right, n[2]);
        gc_set_field(&n[1]->right, n[2]);
    }
    for (int i = 0; i < 3; i++)
        gc_decref(n[i]);
}

static void test_order(void **state)
{
    static const char *const expected[12] = {
#include "golden/last_words.txt"
    };
    gc_heap *heap = gc_heap_new(NULL);
    speaker *n[4];

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    for (int i = 0; i < 12; i++) {
        strcat(said, " ");
        build(heap, i / 3, n);
        for (int early = 0; early < i % 3; early++)
            gc_collect_generation(heap, early);
        gc_decref(n[3]);
        gc_collect(heap);
        /* compare what was said with Python's order */
        assert_int_equal(strlen(said), strlen(expected[i]));
        for (const char *s = expected[i]; *s != '\0'; s++)
            assert_non_null(strchr(said, *s));
        said[0] = '\0';
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static size_t lose_legacy(gc_heap *heap, size_t number)
{
    for (size_t made = 0; made < number; made++) {
        speaker *s = gc_new(heap, &legacy_type);

        if (s == NULL)
            return made;
        s->left = s;
        s->name = "s";
    }
    return number;
}

static bool keep_garbage(budget *b)
{
    gc_options options = { .allocator = on_budget(b) };
    gc_heap *heap = gc_heap_new(&options);
    size_t made = heap != NULL ? lose_legacy(heap, 10) : 0, kept = 0;

    if (made == 10) {
        gc_collect(heap);
        kept = gc_garbage_length(heap);
        assert_int_equal(gc_heap_count(heap), 10);
        b->left = SIZE_MAX;
        gc_collect(heap);
        assert_int_equal(gc_garbage_length(heap), 10);
    }
    assert_int_equal(gc_heap_free(heap), made);
    return kept == 10;
}

static void test_no_memory_for_garbage(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 0; !done; n++) {
        budget b = { .left = n };
        done = keep_garbage(&b);
        assert_int_equal(b.blocks, 0);
    }
}

static speaker *grave;

static void lie_down(speaker *s)
{
    gc_set_field(&grave->right, s);
}

static void test_resurrected_into_a_grave(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_ring(heap, &speaker_type, "a", NULL);

    (void)state;
    grave = new_ring(heap, &mute_type, "grave", NULL);
    a->act = lie_down;
    gc_decref(a);
    gc_decref(grave);
    assert_int_equal(gc_collect(heap), 2);
    assert_said("a ");
    assert_int_equal(gc_heap_free(heap), 0);
}

static size_t found;

static void collect(speaker *s)
{
    gc_heap *heap = gc_heap_of(s);

    found = gc_collect(heap);
    gc_decref(new_speaker(heap, &mute_type, "made"));
    gc_xdecref(saved);
    saved = NULL;
}

static void test_finalizer_that_collects(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_speaker(heap, &speaker_type, "a");

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    a->act = collect;
    gc_decref(new_ring(heap, &mute_type, "b", NULL));
    saved = new_speaker(heap, &speaker_type, "dropped");
    gc_decref(a);
    assert_int_equal(found, 1);
    assert_said("a dropped ");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_collecting_within_a_collection(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_ring(heap, &speaker_type, "a", NULL);

    (void)state;
    found = 99;
    a->act = collect;
    saved = new_speaker(heap, &speaker_type, "dropped");
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 1);
    assert_int_equal(found, 0);
    assert_said("a dropped ");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void spoil_errno(speaker *s)
{
    (void)s;
    errno = ERANGE;
}

static void test_errno_is_kept(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_speaker(heap, &speaker_type, "a");

    (void)state;
    a->act = spoil_errno;
    errno = EDOM;
    gc_decref(a);
    assert_int_equal(errno, EDOM);
    assert_said("a ");
    gc_heap_free(heap);
}

#ifndef TEST_SHRINK
#define TEST_SHRINK 1
#endif

enum { LENGTH = 1000000 / TEST_SHRINK };
static size_t speeches;

static void count_speech(void *object)
{
    (void)object;
    speeches++;
}

static void test_long_list_and_long_ring(void **state)
{
    gc_type type = mute_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    type.finalize = count_speech;
    for (int ring = 0; ring < 2; ring++) {
        speaker *first = gc_new(heap, &type), *last = first;
        for (int i = 1; i < LENGTH; i++)
            last = last->left = gc_new(heap, &type);
        if (ring)
            gc_set_field(&last->left, first);
        gc_decref(first);
        assert_int_equal(gc_collect(heap), ring ? LENGTH : 0);
        assert_int_equal(gc_heap_count(heap), 0);
    }
    assert_int_equal(speeches, 2 * LENGTH);
    gc_heap_free(heap);
}

static void test_legacy_ring(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_ring(heap, &legacy_type, "a", "b");
    speaker *c = new_ring(heap, &speaker_type, "c", "d");

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    a->left->right = new_speaker(heap, &legacy_type, "e");
    gc_set_field(&c->right, a);
    gc_decref(a);
    gc_decref(c);
    assert_int_equal(gc_collect(heap), 5);
    assert_said("c d ");
    assert_int_equal(gc_heap_count(heap), 3);
    assert_int_equal(gc_garbage_length(heap), 3);
    gc_garbage_clear(heap);
    assert_int_equal(gc_garbage_length(heap), 0);
    assert_null(gc_garbage_pop(heap));
    assert_said("");
    gc_clear_field(&a->left);
    assert_said("b a e ");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_reachable_from_legacy(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_stats stats[GC_GENERATIONS];
    speaker *a = new_ring(heap, &legacy_type, "a", NULL);

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    a->right = new_ring(heap, &speaker_type, "b", "c");
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 3);
    gc_get_stats(heap, stats);
    assert_int_equal(stats[2].uncollectable, 3);
    assert_int_equal(stats[2].collected, 0);
    assert_int_equal(gc_garbage_length(heap), 1);
    assert_ptr_equal(gc_garbage_item(heap, 0), a);
    gc_clear_field(&a->left);
    gc_garbage_clear(heap);
    assert_said("a ");
    assert_int_equal(gc_collect(heap), 2);
    assert_said("b c ");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_saved_is_ordinary(void **state)
{
    budget b = { .left = SIZE_MAX };
    gc_options options = { .allocator = on_budget(&b) };
    gc_heap *heap = gc_heap_new(&options);
    size_t bytes = b.bytes;

    (void)state;
    gc_set_debug(heap, GC_DEBUG_SAVEALL);
    gc_decref(new_ring(heap, &mute_type, "a", NULL));
    assert_int_equal(gc_collect(heap), 1);
    gc_set_debug(heap, 0);
    assert_dump(heap, NULL, "object a type=mute name=\"a\" "
        "refcount=2 generation=2\nref a left a\n");
    assert_int_equal(gc_heap_bytes(heap), b.bytes);
    gc_garbage_clear(heap);
    assert_int_equal(gc_collect(heap), 1);
    assert_int_equal(gc_heap_bytes(heap), b.bytes);
    if (!KEEPS_THE_DEAD)
        assert_int_equal(b.bytes, bytes);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_garbage_of_the_last_collection(void **state)
{
    budget b = { .left = SIZE_MAX };
    gc_options options = { .allocator = on_budget(&b) };
    gc_heap *heap = gc_heap_new(&options);

    (void)state;
    gc_decref(new_ring(heap, &legacy_type, "a", NULL));
    gc_set_debug(heap, GC_DEBUG_SAVEALL);
    assert_int_equal(gc_heap_free(heap), 1);
    assert_int_equal(b.blocks, 0);
}

static void test_saveall(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *a = new_ring(heap, &speaker_type, "a", "b");

    (void)state;
    gc_set_debug(heap, GC_DEBUG_SAVEALL);
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 2);
    assert_said("a b ");
    assert_int_equal(gc_garbage_length(heap), 2);
    assert_ptr_equal(gc_garbage_item(heap, 0), a);
    assert_ptr_equal(a->left->left, a);
    assert_int_equal(gc_refcount(a), 2);
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
    assert_said("");
}

static void complain(speaker *s)
{
    gc_write_unraisable(s, "the disk is full");
}

static void test_log_of_garbage(void **state)
{
    transcript t = { "" };
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);
    speaker *a = new_ring(heap, &legacy_type, "a", NULL);
    speaker *b = new_speaker(heap, &speaker_type, "b");

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    b->act = complain;
    gc_decref(b);
    gc_decref(a);
    gc_set_debug(heap, GC_DEBUG_UNCOLLECTABLE | GC_DEBUG_STATS);
    gc_collect(heap);
    gc_set_debug(heap, 0);
    assert_int_equal(gc_heap_free(heap), 1);
    /* compare the log of garbage */
    assert_string_equal(t.text,
        "gc: error ignored in <speaker b>: the disk is full\n"
        "gc: collecting generation 2...\n"
        "gc: objects in each generation: 1 0 0\n"
        "gc: objects in permanent generation: 0\n"
        "gc: uncollectable <legacy a>\n"
        "gc: done, 1 unreachable, 1 uncollectable\n"
        "gc: 1 uncollectable objects at shutdown; "
        "GC_DEBUG_UNCOLLECTABLE lists them\n"
        "leaked: legacy a\n");
    assert_said("b ");
}

static void test_garbage_is_listed_at_shutdown(void **state)
{
    transcript t = { "" };
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);

    (void)state;
    gc_decref(new_ring(heap, &legacy_type, "a", NULL));
    gc_collect(heap);
    gc_set_debug(heap, GC_DEBUG_UNCOLLECTABLE);
    assert_int_equal(gc_heap_free(heap), 1);
    assert_string_equal(t.text,
        "gc: 1 uncollectable objects at shutdown\n"
        "gc: uncollectable <legacy a>\n"
        "leaked: legacy a\n");
}

static char long_error[300];

static void complain_at_length(speaker *s)
{
    gc_write_unraisable(s, long_error);
}

static void test_long_error(void **state)
{
    static const char start[] = "gc: error ignored in <speaker s>: ";
    transcript t = { "" };
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);
    speaker *s = new_speaker(heap, &speaker_type, "s");

    (void)state;
    memset(long_error, 'x', sizeof long_error - 1);
    s->act = complain_at_length;
    gc_decref(s);
    assert_memory_equal(t.text, start, strlen(start));
    size_t length = strspn(t.text + strlen(start), "x");
    assert_in_range(length, 100, 299);
    assert_string_equal(t.text + strlen(start) + length, "\n");
    assert_said("s ");
    gc_heap_free(heap);
}

static void note_phase(gc_heap *heap, const char *phase, void *context)
{
    (void)heap, (void)context;
    strcat(strcat(said, phase), " ");
}

static void assert_phases(const gc_type *type, const char *phases)
{
    gc_options options = { .on_phase = note_phase };
    gc_heap *heap = gc_heap_new(&options);
    speaker *a = new_ring(heap, type, "a", NULL);

    gc_decref(a);
    said[0] = '\0';
    assert_int_equal(gc_collect(heap), 1);
    assert_said(phases);
    if (type->legacy_finalize != NULL)
        gc_clear_field(&a->left);
    assert_int_equal(gc_heap_free(heap), 0);
    said[0] = '\0';
}

static void test_phases(void **state)
{
    (void)state;
    assert_phases(&mute_type,
        "update_refs subtract_refs move_unreachable ");
    assert_phases(&speaker_type,
        "update_refs subtract_refs move_unreachable "
        "a finalize_garbage "
        "update_refs subtract_refs move_unreachable ");
    assert_phases(&legacy_type,
        "update_refs subtract_refs move_unreachable "
        "move_legacy_finalizers ");
}

static void test_closing_and_finalizers(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    speaker *lost = new_ring(heap, &speaker_type, "lost", NULL);
    speaker *back = new_ring(heap, &speaker_type, "back", NULL);

    (void)state;
    back->act = save;
    new_speaker(heap, &speaker_type, "leaked");
    gc_decref(lost);
    gc_decref(back);
    assert_int_equal(gc_heap_free(heap), 2);
    assert_said("lost back ");
}

static void give_itself_up(speaker *s)
{
    gc_decref(s);
}

static void die_by_own_hand(void)
{
    speaker *s = new_speaker(gc_heap_new(NULL), &speaker_type, "s");

    s->act = give_itself_up;
    gc_decref(s);
}

static void give_to_the_dying(void)
{
    gc_heap *heap = gc_heap_new(NULL);

    grave = new_speaker(heap, &mute_type, "grave");
    grave->right = new_speaker(heap, &speaker_type, "s");
    grave->right->act = lie_down;
    gc_decref(grave);
}

static void test_finalizers_that_err(void **state)
{
    (void)state;
    assert_stops(die_by_own_hand,
                 "speaker s: given up by its own finalizer");
    assert_stops(give_to_the_dying,
                 "mute grave: holds 1 references in its grave");
}

static void make_another(speaker *s)
{
    s->act = NULL;
    gc_decref(new_ring(gc_heap_of(s), &speaker_type, "another", NULL));
}

static void live_for_ever(void *object)
{
    strcat(said, "atom ");
    gc_make_immortal(object);
}

static void test_closing_collects_until_nothing_is_found(void **state)
{
    gc_type stubborn = { .name = "stubborn", .size = sizeof(gc_object),
                         .finalize = live_for_ever };
    gc_heap *heap = gc_heap_new(NULL);
    speaker *s = new_ring(heap, &speaker_type, "one", NULL);

    (void)state;
    s->act = make_another;
    gc_decref(s);
    gc_decref(gc_new(heap, &stubborn));
    assert_int_equal(gc_heap_free(heap), 0);
    assert_said("atom atom one another ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of finalizers */
        cmocka_unit_test(test_death_by_count),
        cmocka_unit_test(test_resurrection_by_count),
        cmocka_unit_test(test_who_speaks_again),
        cmocka_unit_test(test_all_speak_first),
        cmocka_unit_test(test_resurrection_is_transitive),
        cmocka_unit_test(test_suicide),
        cmocka_unit_test(test_resurrected_into_a_grave),
        cmocka_unit_test(test_finalizer_that_collects),
        cmocka_unit_test(test_collecting_within_a_collection),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_legacy_ring),
        cmocka_unit_test(test_reachable_from_legacy),
        cmocka_unit_test(test_saveall),
        cmocka_unit_test(test_log_of_garbage),
        cmocka_unit_test(test_garbage_is_listed_at_shutdown),
        cmocka_unit_test(test_garbage_of_the_last_collection),
        cmocka_unit_test(test_long_error),
        cmocka_unit_test(test_saved_is_ordinary),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_closing_and_finalizers),
        cmocka_unit_test(test_errno_is_kept),
        cmocka_unit_test(test_long_list_and_long_ring),
        cmocka_unit_test(test_no_memory_for_garbage),
        cmocka_unit_test(test_finalizers_that_err),
        cmocka_unit_test(test_closing_collects_until_nothing_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
