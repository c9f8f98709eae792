/* The loops of segmenting and of the first stage that numpy cannot do in few passes.
 *
 * Plain C without Python's headers: detector/native.py calls it through ctypes, and everything here has a twin in
 * Python that gives the same results (see segment.py and classifier.py). No function allocates what it hands out:
 * the caller gives arrays whose sizes are bounds that are told beside each function.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- strings, each kept once --------------------------------------------------------------------------------- */

typedef struct {
    char *bytes;    /* the strings, each ended by a NUL */
    int64_t size;
    int32_t count;
    int64_t *starts; /* where each string begins */
    int32_t *slots; /* open addressing: one more than the string's number, or zero */
    uint64_t mask;
} Pool;

static int pool_open(Pool *pool, char *bytes, int64_t most) {
    uint64_t slots = 64;
    while (slots < 2 * (uint64_t)most) slots *= 2;
    pool->bytes = bytes;
    pool->size = 0;
    pool->count = 0;
    pool->mask = slots - 1;
    pool->starts = malloc((size_t)(most + 1) * sizeof(int64_t));
    pool->slots = calloc(slots, sizeof(int32_t));
    return pool->starts && pool->slots;
}

static void pool_close(Pool *pool) {
    free(pool->starts);
    free(pool->slots);
}

/* FNV-1a, eight bytes at a time. */
static uint64_t hash_of(const char *bytes, int64_t length) {
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)length;
    while (length > 0) {
        uint64_t some = 0;
        memcpy(&some, bytes, (size_t)(length < 8 ? length : 8));
        hash = (hash ^ some) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
        bytes += 8;
        length -= 8;
    }
    return hash;
}

/* The number of the string that was written from `start` to the pool's end; it is taken back where it stood before. */
static int32_t pool_number(Pool *pool, int64_t start) {
    int64_t length = pool->size - start;
    uint64_t hash = hash_of(pool->bytes + start, length);
    for (uint64_t slot = hash & pool->mask;; slot = (slot + 1) & pool->mask) {
        int32_t number = pool->slots[slot] - 1;
        if (number < 0) {
            pool->bytes[pool->size++] = 0;
            pool->starts[pool->count] = start;
            pool->slots[slot] = pool->count + 1;
            return pool->count++;
        }
        const char *other = pool->bytes + pool->starts[number];
        if (!memcmp(other, pool->bytes + start, (size_t)length) && !other[length]) {
            pool->size = start;
            return number;
        }
    }
}

static int is_name(const Pool *pool, int32_t number, const char *from, const char *to) {
    const char *string = pool->bytes + pool->starts[number];
    while (from < to && *string == *from) string++, from++;
    return from == to && !*string;
}

static void pool_put(Pool *pool, const char *from, const char *to) {
    memcpy(pool->bytes + pool->size, from, (size_t)(to - from));
    pool->size += to - from;
}

/* ---- text ----------------------------------------------------------------------------------------------------- */

/* The bytes of a white space character at p (as Python's str.isspace has them), or 0. */
static int white(const uint8_t *p, const uint8_t *end) {
    uint8_t c = *p;
    if (c < 0x80) return c == 32 || (c >= 9 && c <= 13) || (c >= 28 && c <= 31);
    if (c == 0xC2 && end - p > 1) return p[1] == 0x85 || p[1] == 0xA0 ? 2 : 0;
    if (end - p < 3 || c < 0xE1 || c > 0xE3) return 0;
    if (c == 0xE1) return p[1] == 0x9A && p[2] == 0x80 ? 3 : 0;
    if (c == 0xE3) return p[1] == 0x80 && p[2] == 0x80 ? 3 : 0;
    if (p[1] == 0x81) return p[2] == 0x9F ? 3 : 0;
    return p[1] == 0x80 && (p[2] <= 0x8A || p[2] == 0xA8 || p[2] == 0xA9 || p[2] == 0xAF) ? 3 : 0;
}

/* The serialiser's escapes: the bytes of the one at p, and the character it stands for (0: no-break space). */
static int escape(const char *p, const char *end, char *character) {
    static const struct { const char *name; int length; char character; } known[] = {
        {"&amp;", 5, '&'}, {"&lt;", 4, '<'}, {"&gt;", 4, '>'}, {"&quot;", 6, '"'}, {"&nbsp;", 6, 0},
    };
    for (int i = 0; i < 5; i++)
        if (end - p >= known[i].length && !memcmp(p, known[i].name, (size_t)known[i].length)) {
            *character = known[i].character;
            return known[i].length;
        }
    return 0;
}

static void pool_put_unescaped(Pool *pool, const char *from, const char *to) {
    while (from < to) {
        const char *mark = memchr(from, '&', (size_t)(to - from));
        pool_put(pool, from, mark ? mark : to);
        if (!mark) return;
        char character;
        int length = escape(mark, to, &character);
        if (!length) pool_put(pool, mark, mark + 1);
        else if (character) pool->bytes[pool->size++] = character;
        else pool_put(pool, "\xC2\xA0", "\xC2\xA0" + 2);
        from = mark + (length ? length : 1);
    }
}

/* ---- the walk ------------------------------------------------------------------------------------------------- */

enum { BLOCK = 1, SKIPPED = 2, VOID = 4, RAW = 8, LINK = 16, BREAK = 32, UNREADABLE = 64 };

typedef struct {
    int32_t tag, outer_element, outer_own; /* outer_own: -2 where the element is no block */
    int8_t link;
} Open;

typedef struct {
    int32_t *parent, *depth, *tag, *signature;           /* an entry an element */
    int32_t *element, *first_inside, *last_inside, *links; /* an entry a block */
    char *text;                                          /* the blocks, each ended by a line feed */
    int64_t text_size;
    int32_t elements, blocks, own, opened, element_now, link_characters, breaks, links_open;
    int has_text, gap;
} Walk;

static void end_block(Walk *w) {
    if (w->has_text) {
        w->text[w->text_size++] = '\n';
        w->element[w->blocks] = w->own;
        w->first_inside[w->blocks] = w->opened;
        w->last_inside[w->blocks] = w->elements;
        w->links[w->blocks++] = w->link_characters;
    }
    w->has_text = w->gap = 0;
    w->link_characters = 0;
}

static void put_text(Walk *w, const char *from, const char *to, int raw) {
    int32_t characters = 0;
    int any = 0;
    const char *p = from;
    while (p < to) {
        if (w->has_text && !w->gap) { /* most of a text is plain */
            const char *plain = p;
            while (p < to && *p > ' ' && *p != '&') w->text[w->text_size++] = *p++;
            characters += (int32_t)(p - plain);
            any |= p > plain;
            if (p == to) break;
        }
        char character = *p;
        int length = 1, space;
        if (character == '&' && !raw && (length = escape(p, to, &character))) {
            space = !character;
        } else {
            length = 1;
            int bytes = white((const uint8_t *)p, (const uint8_t *)to);
            space = bytes > 0;
            if (space) length = bytes;
        }
        characters += ((uint8_t)character & 0xC0) != 0x80;
        if (space) {
            w->gap = w->has_text;
        } else {
            if (w->gap) w->text[w->text_size++] = ' ';
            w->text[w->text_size++] = character;
            w->gap = 0;
            w->has_text = any = 1;
        }
        p += length;
    }
    if (any) {
        w->breaks = 0;
        if (w->links_open) w->link_characters += characters;
    }
}

/* Past the end of an attribute list that begins at p; writes what tells of the element behind its tag. */
static const char *attributes(const char *p, const char *end, Pool *signatures) {
    static const struct { const char *name; int64_t length; } telling[] = {
        {"class", 5}, {"id", 2}, {"role", 4}, {"aria-label", 10}, {"href", 4},
    };
    while (p < end && *p != '>') {
        const char *name = ++p; /* after the space */
        if (p < end && *p != '>') p++; /* a name may begin with "=" */
        while (p < end && *p != '=' && *p != ' ' && *p != '>') p++;
        const char *name_end = p;
        if (p + 1 >= end || *p != '=') continue;
        const char *value = p + 2;
        const char *value_end = value < end ? memchr(value, '"', (size_t)(end - value)) : NULL;
        if (!value_end) return end;
        for (int i = 0; signatures && value_end > value && i < 5; i++) {
            if (name_end - name == telling[i].length && !memcmp(name, telling[i].name, (size_t)(name_end - name))) {
                pool_put(signatures, " ", " " + 1);
                pool_put_unescaped(signatures, value, value_end);
            }
        }
        p = value_end + 1;
    }
    return p < end ? p + 1 : end;
}

/* Where the raw text of an element ends: at its end tag. */
static const char *raw_end(const char *p, const char *end, const char *name, int64_t length) {
    while (p < end && (p = memchr(p, '<', (size_t)(end - p)))) {
        if (end - p > length + 2 && p[1] == '/' && !memcmp(p + 2, name, (size_t)length) && p[length + 2] == '>') return p;
        p++;
    }
    return end;
}

static void start_element(Walk *w, Open *open, int32_t tag, int32_t signature, int flags, int32_t depth) {
    if (flags & BLOCK) {
        end_block(w);
        w->breaks = 0;
    }
    int32_t index = w->elements++;
    w->parent[index] = w->element_now;
    w->depth[index] = depth;
    w->tag[index] = tag;
    w->signature[index] = signature;
    *open = (Open){tag, w->element_now, flags & BLOCK ? w->own : -2, (flags & LINK) != 0};
    w->links_open += open->link;
    w->element_now = index;
    if (flags & BLOCK) {
        w->own = index;
        w->opened = index + 1;
    }
}

static void end_element(Walk *w, const Open *open) {
    w->links_open -= open->link;
    w->element_now = open->outer_element;
    if (open->outer_own != -2) {
        end_block(w);
        w->breaks = 0;
        w->own = open->outer_own;
        w->opened = w->elements;
    }
}

/* Cut a page, as the HTML standard serialises it, into blocks (see segment.py).
 *
 * html, size: UTF-8 in which every element is closed. known, known_count, flags: names of elements, each ended by a
 * NUL, and what they are. Of n "<" in the page, the arrays of elements and of blocks have n + 1 entries; text has
 * size + n + 2 bytes, tags has size and that of the known names more, signatures 2 * size + n + 2.
 * sizes: gets the numbers of elements, blocks, bytes of text, bytes of tags, bytes of signatures.
 * Returns 0, or 1 where there is an unreadable element, or -1 where memory is short.
 */
int walk(const char *html, int64_t size, int64_t n, const char *known, int32_t known_count, const uint8_t *flags,
         int32_t *parent, int32_t *depth, int32_t *tag, int32_t *signature, int32_t *element, int32_t *first_inside,
         int32_t *last_inside, int32_t *links, char *text, char *tag_bytes, char *signature_bytes, int64_t *sizes) {
    Walk w = {parent, depth, tag, signature, element, first_inside, last_inside, links, text, 0,
              0, 0, -1, 0, -1, 0, 0, 0, 0, 0};
    Pool tags = {0}, signatures = {0};
    Open *stack = malloc((size_t)(n + 1) * sizeof(Open));
    int32_t open = 0, skipped_from = -1; /* how many are open when the outermost skipped element begins */
    int failed = -(!pool_open(&tags, tag_bytes, n + known_count) | !pool_open(&signatures, signature_bytes, n) | !stack);
    if (failed) goto done;
    for (int32_t i = 0; i < known_count; i++) {
        int64_t start = tags.size;
        pool_put(&tags, known, known + strlen(known));
        known += strlen(known) + 1;
        pool_number(&tags, start);
    }
    const char *p = html, *end = html + size;
    while (p < end) {
        if (*p != '<') {
            const char *next = memchr(p, '<', (size_t)(end - p));
            if (!next) next = end;
            if (skipped_from < 0) put_text(&w, p, next, 0);
            p = next;
            continue;
        }
        if (++p >= end) break;
        if (*p == '!' && end - p >= 3 && p[1] == '-' && p[2] == '-') {
            p += 3;
            while (p < end && (p = memchr(p, '-', (size_t)(end - p))) && !(end - p >= 3 && p[1] == '-' && p[2] == '>')) p++;
            p = p && p < end ? p + 3 : end;
            continue;
        }
        if (*p == '!' || *p == '?') {
            p = memchr(p, '>', (size_t)(end - p));
            p = p ? p + 1 : end;
            continue;
        }
        int closing = *p == '/';
        const char *name = p += closing;
        while (p < end && *p != ' ' && *p != '>') p++;
        const char *name_end = p;
        if (closing && open > 0 && is_name(&tags, stack[open - 1].tag, name, name_end)) { /* as nearly always */
            p += p < end;
            open--;
            if (skipped_from < 0) end_element(&w, &stack[open]);
            if (open == skipped_from) skipped_from = -1;
            continue;
        }
        int64_t start = tags.size;
        pool_put(&tags, name, name_end);
        int32_t number = pool_number(&tags, start);
        int what = number < known_count ? flags[number] : 0;
        if (what & UNREADABLE) {
            failed = 1;
            goto done;
        }
        if (closing) {
            p += p < end;
            int32_t at = open;
            while (at > 0 && stack[at - 1].tag != number) at--;
            while (at > 0 && open >= at) { /* all that it ends; an end tag of nothing open is passed over */
                open--;
                if (skipped_from < 0) end_element(&w, &stack[open]);
                if (open == skipped_from) skipped_from = -1;
            }
            continue;
        }
        int reads = skipped_from < 0 && !(what & (SKIPPED | BREAK));
        int64_t begin = signatures.size;
        if (reads) pool_put(&signatures, name, name_end);
        p = attributes(p, end, reads ? &signatures : NULL);
        const char *raw = p, *raw_stop = p;
        if (what & RAW) p = raw_stop = raw_end(p, end, name, name_end - name);
        if (reads) {
            start_element(&w, &stack[open], number, pool_number(&signatures, begin), what, open);
            open++;
            if (raw_stop > raw) put_text(&w, raw, raw_stop, 1);
            if (what & VOID) end_element(&w, &stack[--open]);
        } else if (what & BREAK) {
            if (skipped_from < 0) {
                w.breaks++;
                w.gap = w.has_text;
                if (w.breaks == 2 && w.has_text) {
                    end_block(&w);
                    w.opened = w.elements;
                }
            }
        } else if (!(what & VOID)) {
            if (skipped_from < 0) skipped_from = open;
            stack[open++] = (Open){number, 0, 0, 0};
        }
    }
    while (open > 0 && skipped_from < 0) end_element(&w, &stack[--open]);
    end_block(&w);
done:
    sizes[0] = w.elements;
    sizes[1] = w.blocks;
    sizes[2] = w.text_size;
    sizes[3] = tags.size;
    sizes[4] = signatures.size;
    pool_close(&tags);
    pool_close(&signatures);
    free(stack);
    return failed;
}

/* How many elements of the same tag and parent there are up to each, itself counted. tag: each below `tags`.
 * number: (elements,). Returns 0, or -1 where memory is short. */
static int number_elements(const int32_t *parent, const int32_t *tag, int64_t elements, int32_t *number) {
    uint64_t slots = 64;
    while (slots < 2 * (uint64_t)elements) slots *= 2;
    struct Count { int32_t parent, tag, count; } *counts = calloc(slots, sizeof *counts);
    if (!counts) return -1;
    for (int64_t i = 0; i < elements; i++) {
        uint64_t hash = ((uint64_t)(uint32_t)parent[i] << 32 | (uint32_t)tag[i]) * 0x9E3779B97F4A7C15u;
        struct Count *at;
        for (uint64_t slot = hash >> 20;; slot++) {
            at = counts + (slot & (slots - 1));
            if (!at->count || (at->parent == parent[i] && at->tag == tag[i])) break;
        }
        *at = (struct Count){parent[i], tag[i], at->count + 1};
        number[i] = at->count;
    }
    free(counts);
    return 0;
}

/* The XPath of each block's element, each ended by a NUL.
 *
 * parent, tag: an entry an element; names: of the tags, each ended by a NUL; name_starts: room for one more than
 * there are tags; element: an entry a block; number: room for each element. paths: room for size bytes. Returns the bytes written; more than
 * size, and nothing is written past it, where they are too few; -1 where memory is short. */
int64_t xpaths(const int32_t *parent, const int32_t *tag, int64_t elements, const char *names, int64_t tags,
               int64_t *name_starts, const int32_t *element, int64_t blocks, int32_t *number, char *paths, int64_t size) {
    if (number_elements(parent, tag, elements, number)) return -1;
    name_starts[0] = 0;
    for (int64_t i = 0; i < tags; i++)
        name_starts[i + 1] = name_starts[i] + (int64_t)strlen(names + name_starts[i]) + 1;
    int64_t written = 0;
    for (int64_t block = 0; block < blocks; block++) {
        char digits[16];
        int64_t length = 1;
        for (int32_t at = element[block]; at >= 0; at = parent[at]) {
            length += name_starts[tag[at] + 1] - name_starts[tag[at]] - 1 + 3; /* "/", "[", "]" and no NUL */
            for (int32_t n = number[at]; n; n /= 10) length++;
        }
        if (written + length > size) {
            written += length;
            continue;
        }
        char *p = paths + written + length;
        *--p = 0;
        for (int32_t at = element[block]; at >= 0; at = parent[at]) {
            int count = 0;
            for (int32_t n = number[at]; n; n /= 10) digits[count++] = (char)('0' + n % 10);
            *--p = ']';
            for (int i = 0; i < count; i++) *--p = digits[i];
            *--p = '[';
            int64_t name = name_starts[tag[at] + 1] - name_starts[tag[at]] - 1;
            memcpy(p -= name, names + name_starts[tag[at]], (size_t)name);
            *--p = '/';
        }
        written += length;
    }
    return written;
}

/* The attributes of the tag at p, which begins with "<", and its end: the first ">" that is in no quoted value. */
static int64_t attribute_count(const char *p, const char *end, const char **tag_end) {
    int64_t count = 0;
    int before = 0; /* whether white space stands before p */
    *tag_end = ++p;
    if (p >= end || !((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z'))) return 0;
    for (; p < end && *p != '>'; p++) {
        int space = white((const uint8_t *)p, (const uint8_t *)end) == 1;
        count += before && !space;
        before = space;
        if (*p != '=') continue;
        const char *quote = p + 1;
        while (quote < end && white((const uint8_t *)quote, (const uint8_t *)end) == 1) quote++;
        if (quote >= end || (*quote != '"' && *quote != '\'')) continue;
        const char *closing = memchr(quote + 1, *quote, (size_t)(end - quote - 1));
        if (closing) p = closing;
    }
    *tag_end = p;
    return count;
}

/* What a parser is in for: the number of "<" in the page, the most elements open at once as if every start tag had
 * an end tag, and the most attributes of a tag that is longer than `long_tag` bytes. */
void count_tags(const char *html, int64_t size, int64_t long_tag, int64_t *counts) {
    const char *p = html, *end = html + size, *before = NULL, *read_to = html;
    int64_t open = 0;
    counts[0] = counts[1] = counts[2] = 0;
    for (;;) {
        p = p < end ? memchr(p, '<', (size_t)(end - p)) : NULL;
        if (before && (p ? p : end) - before > long_tag && before >= read_to) {
            int64_t attributes = attribute_count(before, end, &read_to);
            if (attributes > counts[2]) counts[2] = attributes;
        }
        if (!p) return;
        before = p++;
        counts[0]++;
        open += p < end && *p == '/' ? -1 : 1;
        if (open > counts[1]) counts[1] = open;
    }
}

/* ---- the first stage ------------------------------------------------------------------------------------------ */

enum { GAP = 0, MOST_WORDS = 8 };
static const uint32_t BASE = 0x01000193;

static uint32_t mixed(uint32_t h, uint32_t salt) {
    h ^= salt * 0x9E3779B1u;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    h *= 0xC2B2AE35u;
    return h ^ h >> 16;
}

enum { PART = 16, MOST_PARTS = 4, AHEAD = 64 };

typedef struct {
    const int8_t *table, *end;
    int32_t width, shift, parts;
    int32_t sums[MOST_PARTS * PART];
    int32_t last; /* the sum of the last column, which is unsigned */
    int32_t asked;
    const int8_t *rows[AHEAD]; /* that were asked for from memory, to be added when they are there */
} Table;

/* Rows are read and added 16 columns at a time, which compilers turn into a few vector instructions. */
static inline __attribute__((always_inline)) void add_rows(Table *t) {
    for (int32_t i = 0; i < t->asked; i++) t->last += (uint8_t)t->rows[i][t->width - 1];
    for (int32_t part = 0; part < t->parts; part++) {
        int32_t sums[PART];
        memcpy(sums, t->sums + PART * part, sizeof sums);
        for (int32_t i = 0; i < t->asked; i++) {
            const int8_t *from = t->rows[i] + PART * part;
            if (t->end - from >= PART) {
                for (int c = 0; c < PART; c++) sums[c] += from[c];
            } else {
                for (int c = 0; c < t->end - from; c++) sums[c] += from[c];
            }
        }
        memcpy(t->sums + PART * part, sums, sizeof sums);
    }
    t->asked = 0;
}

static inline __attribute__((always_inline)) void ask_row(Table *t, uint32_t hash) {
    const int8_t *row = t->table + (int64_t)(hash >> t->shift) * t->width;
    __builtin_prefetch(row);
    t->rows[t->asked++] = row;
    if (t->asked == AHEAD) add_rows(t);
}

static inline __attribute__((always_inline)) void end_text(Table *t, int32_t *sums) {
    add_rows(t);
    memcpy(sums, t->sums, (size_t)t->width * sizeof(int32_t));
    sums[t->width - 1] = t->last;
    memset(t->sums, 0, sizeof t->sums);
    t->last = 0;
}

#if defined(__x86_64__) && defined(__gnu_linux__)
#define FOR_NEWER_PROCESSORS_TOO __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_NEWER_PROCESSORS_TOO
#endif

/* The codes of a text with a gap before and after; runs of gaps are one. Returns how many. */
static inline int64_t codes_of(const uint32_t *raw, int64_t length, const uint32_t *code_table, uint32_t *codes) {
    int64_t size = 1;
    uint32_t before = codes[0] = GAP;
    for (int64_t i = 0; i < length; i++) { /* without a branch, since none could be foretold */
        uint32_t code = raw[i] < 65536 ? code_table[raw[i]] : raw[i];
        codes[size] = code;
        size += (code != GAP) | (before != GAP);
        before = code;
    }
    codes[size] = GAP;
    return size + (before != GAP);
}

/* Sum the rows of a table over each text's hashed n-grams (see features.py).
 *
 * raw: the texts' characters; lengths: (texts,), of which at most `most` count; code_table: 65,536 codes; characters
 * beyond are their own. codes: room for most + 2. character_lengths, word_lengths: of n-grams, at most 8 each, those of
 * characters at least 2. table: (2 ** bits, width), the last column unsigned, of at most 64 columns. sums:
 * (texts, width).
 */
FOR_NEWER_PROCESSORS_TOO
void ngram_sums(const uint32_t *raw, const int64_t *lengths, int64_t texts, int64_t most, const uint32_t *code_table,
                uint32_t *codes, const int32_t *character_lengths, int32_t character_count,
                const int32_t *word_lengths, int32_t word_count, const int8_t *table, int32_t bits, int32_t width,
                int32_t *sums) {
    Table t = {table, table + ((int64_t)width << bits), width, 32 - bits, (width + PART - 1) / PART, {0}, 0, 0, {0}};
    for (int64_t text = 0; text < texts; raw += lengths[text++], sums += width) {
        int64_t size = codes_of(raw, lengths[text] < most ? lengths[text] : most, code_table, codes);
        uint32_t hashes[MOST_WORDS] = {0}; /* of the last words */
        uint32_t powers[MOST_WORDS] = {0}; /* BASE to their lengths and a gap's */
        int32_t known = 0;
        for (int64_t first = 1; first < size;) { /* a gap stands before and after each word */
            int64_t stop = first;
            uint32_t hash = 0, power = 1;
            for (; codes[stop] != GAP; stop++) {
                hash += codes[stop] * power;
                power *= BASE;
            }
            for (int32_t k = MOST_WORDS - 1; k > 0; k--) {
                hashes[k] = hashes[k - 1];
                powers[k] = powers[k - 1];
            }
            hashes[0] = hash;
            powers[0] = power * BASE;
            known += known < MOST_WORDS;
            for (int32_t k = 0; k < word_count; k++) {
                if (word_lengths[k] > known) continue;
                uint32_t span = 0;
                for (int32_t back = 0; back < word_lengths[k]; back++) span = hashes[back] + powers[back] * span;
                ask_row(&t, mixed(span, (uint32_t)(64 + word_lengths[k])));
            }
            for (int32_t k = 0; k < character_count; k++) {
                int32_t length = character_lengths[k];
                for (int64_t at = first - 1; at + length <= stop + 1; at++) {
                    uint32_t span = 0;
                    for (int32_t c = length - 1; c >= 0; c--) span = span * BASE + codes[at + c];
                    ask_row(&t, mixed(span, (uint32_t)length));
                }
            }
            first = stop + 1;
        }
        end_text(&t, sums);
    }
}

/* The signatures of the elements that the first stage sees of each block (see classifier.py).
 *
 * parent, signature: an entry an element; element, inside (two each): an entry a block; around: (blocks, 1 + ancestors
 * + most_inside), gets the signature of the block's own element, of those above it, of those inside it; -1: none. */
void elements_around(const int32_t *parent, const int32_t *signature, const int32_t *element, const int32_t *inside,
                     int64_t blocks, int32_t ancestors, int32_t most_inside, int32_t *around) {
    for (int64_t block = 0; block < blocks; block++) {
        int32_t above = element[block];
        *around++ = signature[above];
        for (int32_t i = 0; i < ancestors; i++) {
            above = above > 0 ? parent[above] : 0;
            *around++ = above > 0 ? signature[above] : -1; /* the root tells nothing */
        }
        for (int32_t i = 0; i < most_inside; i++) {
            int32_t within = inside[2 * block] + i;
            *around++ = within < inside[2 * block + 1] ? signature[within] : -1;
        }
    }
}

/* First-stage scores of the elements around each block (see classifier.py).
 *
 * around: (blocks, places) rows of sums, or -1; part, weight: (places,) which weights each place has, and what it
 * counts; sums: (.., parts * kinds + 1); scale: (parts * kinds,); scores: (blocks, kinds), gets the bias and more. */
void structure_scores(const int32_t *around, int64_t blocks, int32_t places, const int32_t *part, const float *weight,
                      const int32_t *sums, int32_t parts, int32_t kinds, const float *scale, float *scores) {
    int32_t width = parts * kinds + 1;
    for (int64_t block = 0; block < blocks; block++, around += places, scores += kinds)
        for (int32_t p = 0, place = 0; p < parts; p++) {
            float total[64] = {0}, squares = 0;
            for (; place < places && part[place] == p; place++) {
                if (around[place] < 0) continue;
                const int32_t *row = sums + (int64_t)around[place] * width;
                for (int32_t i = 0; i < kinds; i++) total[i] += weight[place] * (float)row[p * kinds + i];
                squares += weight[place] * (float)row[width - 1];
            }
            float norm = sqrtf(squares > 1e-12f ? squares : 1e-12f);
            for (int32_t i = 0; i < kinds; i++) scores[i] += total[i] * scale[p * kinds + i] / norm;
        }
}

/* ---- what the second stage sees (see context.py, which has the same in numpy) --------------------------------- */

/* All functions here write some columns of a matrix of `stride` columns, one row a block. */
typedef struct {
    float *first; /* the next column of the first row */
    int64_t rows, stride;
} Columns;

static void put_numbers(Columns *to, const float *values, int64_t columns) {
    for (int64_t row = 0; row < to->rows; row++)
        memcpy(to->first + row * to->stride, values + row * columns, (size_t)columns * sizeof(float));
    to->first += columns;
}

/* The block's own shares and clipped scores, the means of the shares over each window and over the page, and the
 * page's highest. total: room for (rows + 1) * kinds. */
static void put_around(Columns *to, const float *share, const float *scores, int64_t kinds, float limit,
                       const int64_t *widths, int64_t windows, double *total) {
    float highest[64];
    memset(total, 0, (size_t)kinds * sizeof(double));
    put_numbers(to, share, kinds);
    for (int64_t row = 0; row < to->rows; row++)
        for (int64_t i = 0; i < kinds; i++) {
            float score = scores[row * kinds + i], value = share[row * kinds + i];
            to->first[row * to->stride + i] = score < -limit ? -limit : score > limit ? limit : score;
            total[(row + 1) * kinds + i] = total[row * kinds + i] + value;
            if (!row || value > highest[i]) highest[i] = value;
        }
    to->first += kinds;
    for (int64_t row = 0; row < to->rows; row++) {
        float *out = to->first + row * to->stride;
        for (int64_t w = 0; w <= windows; w++) { /* the last is the whole page */
            int64_t low = w < windows && row > widths[w] ? row - widths[w] : 0;
            int64_t high = w < windows && row + widths[w] + 1 < to->rows ? row + widths[w] + 1 : to->rows;
            for (int64_t i = 0; i < kinds; i++)
                *out++ = (float)((total[high * kinds + i] - total[low * kinds + i]) / (double)(high - low));
        }
        memcpy(out, highest, (size_t)kinds * sizeof(float));
    }
    to->first += (windows + 2) * kinds;
}

/* The shares, and the first of the other numbers where there are some, of so many blocks before and after each. */
static void put_neighbours(Columns *to, const float *share, int64_t kinds, const float *other, int64_t others,
                           int64_t count) {
    int64_t width = kinds + (other != NULL);
    for (int64_t offset = -count; offset <= count; offset++) {
        if (!offset) continue;
        for (int64_t row = 0; row < to->rows; row++) {
            float *out = to->first + row * to->stride;
            int64_t at = row + offset;
            if (at < 0 || at >= to->rows) {
                memset(out, 0, (size_t)width * sizeof(float));
                continue;
            }
            memcpy(out, share + at * kinds, (size_t)kinds * sizeof(float));
            if (other) out[kinds] = other[at * others];
        }
        to->first += width;
    }
}

/* For each of some levels above the block's element: the mean of the shares over the blocks that share it, and the
 * logarithm of their number. group: room for the rows; sums, sizes: room for each element. */
static void put_containers(Columns *to, const float *share, int64_t kinds, const int32_t *parent, const int32_t *element,
                           int64_t levels, int32_t *group, double *sums, int32_t *sizes) {
    memcpy(group, element, (size_t)to->rows * sizeof(int32_t));
    for (int64_t level = 0; level < levels; level++) {
        for (int64_t row = 0; row < to->rows; row++) {
            if (parent[group[row]] >= 0) group[row] = parent[group[row]];
            sizes[group[row]] = 0;
        }
        for (int64_t row = 0; row < to->rows; row++) {
            double *sum = sums + group[row] * kinds;
            if (!sizes[group[row]]++) memset(sum, 0, (size_t)kinds * sizeof(double));
            for (int64_t i = 0; i < kinds; i++) sum[i] += share[row * kinds + i];
        }
        for (int64_t row = 0; row < to->rows; row++) {
            float *out = to->first + row * to->stride;
            int32_t size = sizes[group[row]];
            for (int64_t i = 0; i < kinds; i++) out[i] = (float)(sums[group[row] * kinds + i] / size);
            out[kinds] = (float)log(size);
        }
        to->first += kinds + 1;
    }
}

/* The share of each block that is links, how many elements it stands in, and which of the known tags its element has. */
static void put_structure_numbers(Columns *to, const int64_t *lengths, const int32_t *links, const int32_t *depth,
                                  const int32_t *tag, const int32_t *element, const int32_t *known, int64_t known_count) {
    for (int64_t row = 0; row < to->rows; row++) {
        float *out = to->first + row * to->stride;
        double share = (double)links[row] / (double)lengths[row];
        *out++ = (float)(share < 1.5 ? share : 1.5);
        *out++ = (float)log1p((double)depth[element[row]]);
        for (int64_t i = 0; i < known_count; i++) out[i] = known[tag[element[row]]] == i;
    }
    to->first += 2 + known_count;
}

/* What the second stage sees of each block.
 *
 * numbers: (rows, number_count) of the texts and positions; share, scores: (rows, kinds). settings: neighbours,
 * structure_neighbours, container levels, then the widths of the windows. Of HTML also: lengths, links,
 * element: (rows,); parent, depth, tag: (elements,); known: for each tag which of the known_count known ones it is, or
 * known_count; structure_share, structure_scores: (rows, kinds); else NULL. features: (rows, stride). Returns the columns written, or -1 where memory is short.
 */
int64_t context(int64_t rows, int64_t kinds, float limit, const int64_t *settings, int64_t windows,
                const float *numbers, int64_t number_count, const float *share, const float *scores,
                const int64_t *lengths, const int32_t *links, const int32_t *element, const int32_t *parent,
                const int32_t *depth, const int32_t *tag, int64_t elements, const int32_t *known, int64_t known_count,
                const float *structure_share, const float *structure_scores, float *features, int64_t stride) {
    const int64_t *widths = settings + 3;
    Columns to = {features, rows, stride};
    double *sums = malloc((size_t)((rows + 1 > elements ? rows + 1 : elements) * kinds) * sizeof(double));
    int32_t *sizes = malloc((size_t)(elements + rows) * sizeof(int32_t));
    if (sums && sizes) {
        put_numbers(&to, numbers, number_count);
        put_around(&to, share, scores, kinds, limit, widths, windows, sums);
        put_neighbours(&to, share, kinds, numbers, number_count, settings[0]);
        if (parent) {
            put_structure_numbers(&to, lengths, links, depth, tag, element, known, known_count);
            put_around(&to, structure_share, structure_scores, kinds, limit, widths, windows, sums);
            put_neighbours(&to, structure_share, kinds, NULL, 0, settings[1]);
            put_containers(&to, share, kinds, parent, element, settings[2], sizes + elements, sums, sizes);
        }
    }
    int failed = !sums || !sizes;
    free(sums);
    free(sizes);
    return failed ? -1 : to.first - features;
}

/* The signs of features.py, in its order. */
enum { OTHER, PERCENT, QUESTION, EXCLAMATION, QUOTATION, AT, BAR, COMMA, STOP, COLON, SPACE, CURRENCY, LETTER, CASELESS,
       CAPITAL, DIGIT, SIGNS };

/* How many of the texts are equal to each, itself counted. repeats: (texts,). Returns 0, or -1 where memory is short. */
static int count_repeats(const uint32_t *raw, const int64_t *lengths, int64_t texts, int32_t *repeats) {
    uint64_t slots = 64;
    while (slots < 2 * (uint64_t)texts) slots *= 2;
    struct Seen { const uint32_t *raw; int64_t length, first; } *seen = calloc(slots, sizeof *seen), *at;
    int32_t *first = malloc((size_t)texts * sizeof *first); /* the first text that is equal to each */
    for (int64_t text = 0; seen && first && text < texts; raw += lengths[text++]) {
        size_t bytes = (size_t)lengths[text] * sizeof *raw;
        for (uint64_t slot = hash_of((const char *)raw, (int64_t)bytes);; slot++) {
            at = seen + (slot & (slots - 1));
            if (!at->raw || (at->length == lengths[text] && !memcmp(at->raw, raw, bytes))) break;
        }
        if (!at->raw) *at = (struct Seen){raw, lengths[text], text};
        first[text] = (int32_t)at->first;
        repeats[text] = 0;
        repeats[at->first]++;
    }
    int failed = !seen || !first;
    for (int64_t text = 0; !failed && text < texts; text++) repeats[text] = repeats[first[text]];
    free(seen);
    free(first);
    return -failed;
}

/* Plain numbers of each text and its place on the page (see features.py and context.py).
 *
 * raw: the texts' characters; lengths: (texts,), at least 1; sign_table: 65,536 signs, the last also for characters
 * beyond; repeats: room for each text; numbers: (texts, 26). Returns 0, or -1 where memory is short. */
int block_numbers(const uint32_t *raw, const int64_t *lengths, int64_t texts, const uint8_t *sign_table,
                  int32_t *repeats, float *numbers) {
    if (count_repeats(raw, lengths, texts, repeats)) return -1;
    double all = 0, before = 0;
    for (int64_t text = 0; text < texts; text++) all += (double)lengths[text];
    for (int64_t text = 0; text < texts; before += (double)lengths[text++]) {
        int32_t count[SIGNS] = {0};
        int sign = 0, first = -1;
        for (const uint32_t *end = raw + lengths[text]; raw < end; raw++) {
            sign = sign_table[*raw < 65535 ? *raw : 65535];
            if (first < 0) first = sign;
            count[sign]++;
        }
        float size = (float)lengths[text], cased = (float)(count[LETTER] + count[CAPITAL]);
        float letters = cased + (float)count[CASELESS];
        float other = size - letters - (float)count[DIGIT] - (float)count[SPACE];
        if (letters < 1) letters = 1;
        *numbers++ = (float)log1p(size);
        *numbers++ = (float)log1p(count[SPACE]);
        *numbers++ = (float)count[CASELESS] / letters;
        *numbers++ = (float)count[CAPITAL] / letters;
        *numbers++ = (float)count[DIGIT] / size;
        *numbers++ = other / size;
        *numbers++ = count[CURRENCY] > 0;
        for (int i = PERCENT; i <= BAR; i++) *numbers++ = count[i] > 0;
        *numbers++ = 10 * (float)count[COMMA] / size;
        *numbers++ = 10 * (float)count[STOP] / size;
        *numbers++ = sign == STOP;
        *numbers++ = sign == COLON;
        *numbers++ = sign == QUESTION || sign == EXCLAMATION;
        *numbers++ = first == DIGIT;
        *numbers++ = count[DIGIT] >= 8;
        *numbers++ = (float)((double)text / (double)texts);
        *numbers++ = (float)log1p((double)text);
        *numbers++ = (float)log1p((double)(texts - 1 - text));
        *numbers++ = (float)(before / all);
        *numbers++ = (float)log(repeats[text]);
        *numbers++ = (float)log1p((double)texts);
    }
    return 0;
}
