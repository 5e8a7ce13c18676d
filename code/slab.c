/* From chapter 10 of The Invisible Janitor; made by make tangle. */
/* slab.c: rows of slots, and the tables beside them. */
#include "internal.h"

/* lay out the tables */
enum {
    LEAST_EXTENT = 2048,
    KEPT = (32 << 20) / SLAB_SIZE, /* spare slabs that are kept */
};

static size_t room_for(size_t needed, size_t least)
{
    return needed + needed / 8 + least;
}

/* How many bytes the tables take; where they are in the block. */
static size_t lay_out(struct gc_tables *t, char *block)
{
    size_t known = 4, at = 0;

    while (known < 2 * t->slab_room)
        known *= 2;
    t->mask = known - 1;
    t->known = (void *)(block + at);
    at += known * sizeof *t->known;
    t->rows = (void *)(block + at);
    at += t->slab_room * sizeof *t->rows;
    t->zero = (void *)(block + at);
    at += t->slot_room / 64 * sizeof *t->zero;
    t->refs = (void *)(block + at);
    at += t->slot_room * sizeof *t->refs;
    t->numbers = (void *)(block + at);
    at += t->slot_room / 64 * sizeof *t->numbers;
    t->youngest = (void *)(block + at);
    at += t->slab_room;
    t->touched = (void *)(block + at);
    t->settled = t->touched + t->slab_room;
    return at + 2 * t->slab_room;
}

static void note_known(struct gc_tables *t, const gc_slab *s)
{
    uintptr_t first = (uintptr_t)s + SLAB_FIRST;
    size_t i = first / SLAB_SIZE & t->mask;

    while (t->known[i].first != 0 && t->known[i].first != first)
        i = (i + 1) & t->mask;
    t->known[i] = (struct gc_known) {
        first, t->rows[s->number].base, s->inverse };
}

const struct gc_known *gc_search_known(const struct gc_known *known,
                                       size_t mask, const void *object)
{
    uintptr_t slab = (uintptr_t)slab_of(object);
    size_t i = slab / SLAB_SIZE & mask;

    while (known[i].first != slab + SLAB_FIRST) {
        if (known[i].first == 0)
            return NULL;
        i = (i + 1) & mask;
    }
    return &known[i];
}

static gc_slab *slab_in(const struct gc_row *row)
{
    return slab_of(row->first);
}

static size_t grains(const gc_slab *s)
{
    return (s->capacity + 63) / 64;
}

/* Give a slab the next number, and the next slots of the tables. */
static void enter(gc_heap *heap, struct gc_tables *t, gc_slab *s,
                  uint8_t youngest, bool touched)
{
    size_t number = t->slabs++;

    s->number = (uint32_t)number;
    t->rows[number] = (struct gc_row) {
        (char *)s + SLAB_FIRST + gc_front_of(heap),
        (uint32_t)t->slots, s->size };
    t->youngest[number] = youngest;
    t->touched[number] = touched;
    t->settled[number] = false;
    for (size_t i = 0; i < grains(s); i++)
        t->numbers[t->slots / 64 + i] = (uint32_t)number;
    t->slots += 64 * grains(s);
    note_known(t, s);
}

/* grow the tables */
/* May numbers change? Not while somebody goes by them. */
static bool is_settled(const gc_heap *heap)
{
    return !heap->collecting && heap->postponed == 0;
}

static void copy_tables(struct gc_tables *t,
                        const struct gc_tables *old)
{
    t->gaps = old->gaps;
    t->slabs = old->slabs;
    t->slots = old->slots;
    memcpy(t->rows, old->rows, old->slabs * sizeof *t->rows);
    memcpy(t->youngest, old->youngest, old->slabs);
    memcpy(t->touched, old->touched, old->slabs);
    memcpy(t->settled, old->settled, old->slabs);
    memcpy(t->refs, old->refs, old->slots * sizeof *t->refs);
    memcpy(t->zero, old->zero, old->slots / 8);
    memcpy(t->numbers, old->numbers,
           old->slots / 64 * sizeof *t->numbers);
    for (size_t i = 0; i < t->slabs; i++)
        if (t->rows[i].first != NULL)
            note_known(t, slab_in(&t->rows[i]));
}

static void move_tables(gc_heap *heap, struct gc_tables *t)
{
    const struct gc_tables *old = &heap->tables;

    if (!is_settled(heap)) {
        copy_tables(t, old);
        return;
    }
    for (size_t i = 0; i < old->slabs; i++)
        if (old->rows[i].first != NULL)
            enter(heap, t, slab_in(&old->rows[i]), old->youngest[i],
                  false);
}

static void give_tables(gc_heap *heap)
{
    struct gc_tables *t = &heap->tables;

    if (t->block != NULL)
        gc_release(heap, t->block, t->bytes);
    *t = (struct gc_tables) { .slots = 0 };
}

/* Make tables with room for so many; false when out of memory. */
static bool resize(gc_heap *heap, size_t slabs, size_t slots)
{
    struct gc_tables t = { .slots = 0 };

    t.slab_room = room_for(slabs, 14);
    t.slot_room = room_for(slots, 448) / 64 * 64;
    t.bytes = lay_out(&t, NULL);
    t.block = gc_allocate(heap, t.bytes);
    if (t.block == NULL)
        return false;
    lay_out(&t, t.block);
    memset(t.block, 0, (size_t)((char *)t.refs - (char *)t.block));
    move_tables(heap, &t);
    give_tables(heap);
    heap->tables = t;
    return true;
}

/* close the gaps in the tables */
/* Number the slabs anew, without those that are gone. */
static void close_gaps(gc_heap *heap)
{
    struct gc_tables *t = &heap->tables;
    size_t slabs = t->slabs;

    t->slabs = t->slots = 0;
    memset(t->known, 0, (t->mask + 1) * sizeof *t->known);
    memset(t->zero, 0, t->slot_room / 8);
    for (size_t i = 0; i < slabs; i++)
        if (t->rows[i].first != NULL)
            enter(heap, t, slab_in(&t->rows[i]), t->youngest[i], false);
    t->gaps = 0;
}

static bool has_room(const struct gc_tables *t, size_t slots)
{
    return t->slabs < t->slab_room && t->slots + slots <= t->slot_room;
}

static bool make_room(gc_heap *heap, size_t slots)
{
    struct gc_tables *t = &heap->tables;

    if (has_room(t, slots))
        return true;
    if (is_settled(heap) && t->gaps > 0)
        close_gaps(heap);
    return has_room(t, slots)
        || resize(heap, t->slabs + 1, t->slots + slots);
}

void gc_tidy_tables(gc_heap *heap)
{
    struct gc_tables *t = &heap->tables;

    if (t->gaps == 0 || !is_settled(heap))
        return;
    close_gaps(heap);
    if (heap->leaders == NULL)
        give_tables(heap);
    if (t->slot_room > 4096 && t->slots < t->slot_room / 4)
        resize(heap, t->slabs, t->slots);
}

/* take blocks and give them back */
/* Note a block, whose first slab leads the others. */
static gc_slab *lead(gc_heap *heap, void *start, void *block,
                     size_t bytes)
{
    gc_slab *s = start;

    s->block = block;
    s->bytes = bytes;
    s->busy = 0;
    s->prev_leader = NULL;
    s->next_leader = heap->leaders;
    if (heap->leaders != NULL)
        heap->leaders->prev_leader = s;
    heap->leaders = s;
    return s;
}

/* A block that begins at a multiple of SLAB_SIZE, even if the
 * allocator cannot do that. */
static gc_slab *take_block(gc_heap *heap, size_t bytes)
{
    char *block = gc_allocate_aligned(heap, bytes, SLAB_SIZE);

    if ((uintptr_t)block % SLAB_SIZE == 0)
        return block != NULL ? lead(heap, block, block, bytes) : NULL;
    gc_release(heap, block, bytes);
    bytes += SLAB_SIZE;
    block = gc_allocate(heap, bytes);
    if (block == NULL)
        return NULL;
    uintptr_t at = gc_round_up((uintptr_t)block, SLAB_SIZE);
    return lead(heap, block + (at - (uintptr_t)block), block, bytes);
}

static void give_block(gc_heap *heap, gc_slab *leader)
{
    if (leader->prev_leader != NULL)
        leader->prev_leader->next_leader = leader->next_leader;
    else
        heap->leaders = leader->next_leader;
    if (leader->next_leader != NULL)
        leader->next_leader->prev_leader = leader->prev_leader;
    ASAN_UNPOISON_MEMORY_REGION(leader->block, leader->bytes);
    gc_release(heap, leader->block, leader->bytes);
}

/* keep spare slabs */
/* keep lists of slabs */
static void spare(gc_heap *heap, gc_slab *s)
{
    gc_push_slab(&heap->spare, s);
    heap->spares++;
}

static void unspare(gc_heap *heap, gc_slab *s)
{
    gc_unlink_slab(&heap->spare, s);
    heap->spares--;
}

static gc_slab *part_of(gc_slab *leader, size_t i)
{
    return (gc_slab *)(void *)((char *)leader + i * SLAB_SIZE);
}

/* How many slabs to ask for at once: more, the more there are. */
static size_t parts_wanted(const gc_heap *heap)
{
    size_t parts = 1;

    while (parts < 32 && 16 * parts < heap->tables.slabs)
        parts *= 2;
    return parts;
}

static bool take_spares(gc_heap *heap)
{
    size_t parts = heap->poor ? 1 : parts_wanted(heap);
    gc_slab *leader = take_block(heap, parts * SLAB_SIZE);

    if (leader == NULL && parts > 1)
        leader = take_block(heap, (parts = 1) * SLAB_SIZE);
    if (leader == NULL)
        return false;
    heap->poor = false;
    leader->parts = (uint32_t)parts;
    for (size_t i = parts; i-- > 0;) {
        gc_slab *s = part_of(leader, i);

        s->leader = leader;
        s->extent = SLAB_SIZE;
        spare(heap, s);
    }
    return true;
}

static void give_spares(gc_heap *heap, gc_slab *leader)
{
    for (size_t i = 0; i < leader->parts; i++)
        unspare(heap, part_of(leader, i));
    give_block(heap, leader);
}

/* make a slab */
/* The size of a slot is a multiple of 8, and told by its kind. */
static size_t kind_of(size_t size)
{
    if (size <= SLOT_SMALL)
        return gc_round_up(size, SLOT_GRAIN) / SLOT_GRAIN;
    return SMALL_KINDS
        + gc_round_up(size - SLOT_SMALL, SLOT_COARSE) / SLOT_COARSE;
}

static size_t size_of_kind(size_t kind)
{
    if (kind <= SMALL_KINDS)
        return kind * SLOT_GRAIN;
    return SLOT_SMALL + (kind - SMALL_KINDS) * SLOT_COARSE;
}

static size_t extent_wanted(const gc_heap *heap, size_t kind,
                            size_t size)
{
    size_t slabs = heap->kinds[kind].slabs;
    size_t extent = (size_t)LEAST_EXTENT << 2 * (slabs < 3 ? slabs : 3);

    while (extent < SLAB_FIRST + 8 * size && extent < SLAB_SIZE)
        extent *= 2;
    return extent < SLAB_SIZE ? extent : SLAB_SIZE;
}

static gc_slab *find_memory(gc_heap *heap, size_t extent)
{
    gc_slab *s;

    if (extent == SLAB_SIZE) {
        if (heap->spare == NULL && !take_spares(heap))
            return NULL;
        s = heap->spare;
        unspare(heap, s);
        s->leader->busy++;
        return s;
    }
    s = take_block(heap, extent);
    if (s == NULL)
        return NULL;
    s->leader = s;
    s->extent = extent;
    s->parts = s->busy = 1;
    return s;
}

/* A slab has no use any more. */
static void put_away(gc_heap *heap, gc_slab *s)
{
    gc_slab *leader = s->leader;

    leader->busy--;
    if (s->extent != SLAB_SIZE) {
        give_block(heap, s);
        return;
    }
    spare(heap, s);
    if (leader->busy == 0 && (heap->poor || heap->spares > KEPT))
        give_spares(heap, leader);
}

static void set_up(gc_slab *s, gc_heap *heap, size_t size,
                   size_t capacity)
{
    s->heap = heap;
    s->size = (uint32_t)size;
    s->inverse = capacity == 1 ? 0
        : (uint32_t)((((uint64_t)1 << 32) + size - 1) / size);
    s->capacity = (uint32_t)capacity;
    s->fresh = s->used = 0;
    s->free = NULL;
    s->heads = (gc_head *)gc_slot_at(s, capacity);
    ASAN_UNPOISON_MEMORY_REGION(s->heads, capacity * sizeof(gc_head));
    ASAN_POISON_MEMORY_REGION((char *)s + SLAB_FIRST, capacity * size);
}

static gc_slab *add_slab(gc_heap *heap, size_t kind)
{
    size_t size = size_of_kind(kind) + REDZONE;
    gc_slab *s = find_memory(heap, extent_wanted(heap, kind, size));

    if (s == NULL)
        return NULL;
    set_up(s, heap, size,
           (s->extent - SLAB_FIRST) / (size + sizeof(gc_head)));
    s->kind = (uint32_t)kind;
    if (!make_room(heap, 64 * grains(s))) {
        put_away(heap, s);
        return NULL;
    }
    enter(heap, &heap->tables, s, 0, false);
    heap->kinds[kind].slabs++;
    gc_push_slab(&heap->kinds[kind].roomy, s);
    return s;
}

static void remove_slab(gc_slab *s)
{
    gc_heap *heap = s->heap;

    heap->tables.gaps++;
    heap->tables.rows[s->number].first = NULL;
    heap->tables.touched[s->number] = false;
    heap->tables.youngest[s->number] = UINT8_MAX;
    if (s->kind > 0) {
        heap->kinds[s->kind].slabs--;
        gc_unlink_slab(&heap->kinds[s->kind].roomy, s);
    }
    put_away(heap, s);
    if (heap->poor && heap->leaders == NULL)
        give_tables(heap);
}

/* give back the slabs that nobody is in */
static size_t give_idle_blocks(gc_heap *heap)
{
    size_t number = 0;

    for (gc_slab *s = heap->leaders, *next; s != NULL; s = next) {
        next = s->next_leader;
        if (s->busy == 0) {
            give_spares(heap, s);
            number++;
        }
    }
    return number;
}

/* How many blocks that were. */
size_t gc_clear_free_lists(gc_heap *heap)
{
    struct gc_tables *t = &heap->tables;
    size_t number = 0;

    for (size_t i = 0; i < t->slabs && !CHECKING; i++) {
        gc_slab *s = t->rows[i].first ? slab_in(&t->rows[i]) : NULL;

        if (s == NULL || s->used > 0)
            continue;
        number += s->extent != SLAB_SIZE;
        remove_slab(s);
    }
    return number + give_idle_blocks(heap);
}

void gc_release_slabs(gc_heap *heap)
{
    while (heap->leaders != NULL)
        give_block(heap, heap->leaders);
    give_tables(heap);
}

/* take a slot */
static void *take_large(gc_heap *heap, size_t size)
{
    size_t bytes = SLAB_FIRST + size + sizeof(gc_head);
    gc_slab *s = take_block(heap, bytes);

    if (s == NULL)
        return NULL;
    s->leader = s;
    s->extent = bytes;
    s->parts = s->busy = 1;
    set_up(s, heap, size, 1);
    s->kind = 0;
    if (!make_room(heap, 64)) {
        put_away(heap, s);
        return NULL;
    }
    enter(heap, &heap->tables, s, 0, false);
    s->fresh = s->used = 1;
    s->heads[0] = (gc_head) { 0 };
    ASAN_UNPOISON_MEMORY_REGION((char *)s + SLAB_FIRST, size);
    return (char *)s + SLAB_FIRST;
}

static void *find_slot(gc_heap *heap, size_t size, bool aligned)
{
    if (aligned)
        size = gc_round_up(size, 2 * SLOT_GRAIN);
    if (size > SLOT_LARGEST)
        return take_large(heap, gc_round_up(size, SLOT_GRAIN));
    size_t kind = kind_of(size);
    gc_slab *s = heap->kinds[kind].roomy;
    return s != NULL || (s = add_slab(heap, kind)) ? gc_take_from(s)
                                                   : NULL;
}

/* give a slot back */
/* When memory runs out, give back what nobody is in, and ask again. */
void *gc_take_slot(gc_heap *heap, size_t size, bool aligned)
{
    void *slot = heap->allocating ? NULL
        : find_slot(heap, size, aligned);

    if (slot == NULL && heap->poor && gc_clear_free_lists(heap) > 0)
        slot = find_slot(heap, size, aligned);
    return slot;
}

void gc_nobody_is_in(gc_slab *s)
{
    gc_heap *heap = s->heap;

    if (heap->closing) /* and they will all go */
        return;
    s->free = NULL;
    s->fresh = 0;
    if (heap->poor || s->kind == 0
        || heap->kinds[s->kind].roomy != s || s->next != NULL)
        remove_slab(s);
}

/* give many slots back at once */
static void release_garbage(gc_heap *heap, gc_slab *s)
{
    const struct gc_row *row = &heap->tables.rows[s->number];

    for (uint32_t i = 0; i < s->fresh; i++) {
        gc_head *head = &s->heads[i];

        if (!head->unreachable)
            continue;
        *head = (gc_head) { 0 };
        if (gc_test_bit(heap->tables.zero, row->base + i))
            gc_give_slot(s, gc_slot_at(s, i));
        if (s->used == 0)
            return;
    }
}

static void release_all(gc_slab *s)
{
    if (s->used == s->capacity && s->kind > 0)
        gc_push_slab(&s->heap->kinds[s->kind].roomy, s);
    s->used = 0;
    ASAN_POISON_MEMORY_REGION((char *)s + SLAB_FIRST,
                              (size_t)s->capacity * s->size);
    gc_nobody_is_in(s);
}

static size_t garbage_in(const gc_heap *heap, const gc_slab *s)
{
    const uint64_t *zero =
        &heap->tables.zero[heap->tables.rows[s->number].base / 64];
    size_t garbage = 0;

    for (size_t w = 0; w < (s->fresh + 63) / 64; w++)
        garbage += (size_t)__builtin_popcountll(zero[w]);
    return garbage;
}

void gc_bulk_release(gc_heap *heap, size_t number)
{
    struct gc_tables *t = &heap->tables;
    size_t *young = &heap->generations[0].count;

    heap->count -= number;
    *young -= *young < number ? *young : number;
    heap->unreachable = 0;
    for (size_t n = 0; n < t->slabs; n++) {
        if (!t->touched[n])
            continue;
        gc_slab *s = slab_in(&t->rows[n]);
        size_t garbage = garbage_in(heap, s);
        if (garbage > 0 && garbage == s->used)
            release_all(s);
        else if (garbage > 0)
            release_garbage(heap, s);
    }
}
