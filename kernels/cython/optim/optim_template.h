/* Template, included by optim.h once per floating type. */

/* Coefficients of a rule in the arrays' precision. */
typedef struct {
    PN_REAL lr, scale, decay, momentum, eps, keep1, keep2, new1, new2, rate, root;
} PN_(pn_numbers);

#ifndef PN_ROOTS
/* Square roots of a vector; the compiler turns the loop into one instruction. */
static inline PN_(pn_vector) PN_(pn_roots)(PN_(pn_vector) v) {
    PN_REAL lanes[sizeof v / sizeof(PN_REAL)];
    memcpy(lanes, &v, sizeof v);
    for (size_t i = 0; i < sizeof v / sizeof(PN_REAL); i++) lanes[i] = PN_SQRT(lanes[i]);
    memcpy(&v, lanes, sizeof v);
    return v;
}
#define PN_ROOTS PN_(pn_roots)
#endif

/* The step of a rule for gradient g, to be subtracted from the parameter. */
static inline __attribute__((always_inline)) PN_(pn_vector)
    PN_(pn_step)(const int rule, PN_(pn_vector) g, PN_(pn_unaligned) *first, PN_(pn_unaligned) *second,
                 const PN_(pn_numbers) s) {
    switch (rule) {
    case PN_SGD_MOMENTUM: *first = s.momentum * *first + g; return s.lr * *first;
    case PN_SGD_NESTEROV: *first = s.momentum * *first + g; return s.lr * (g + s.momentum * *first);
    case PN_ADAGRAD: *first += g * g; return s.lr * g / (PN_ROOTS(*first) + s.eps);
    case PN_RMSPROP: *first = s.keep1 * *first + s.new1 * g * g; return s.lr * (g / (PN_ROOTS(*first) + s.eps));
    case PN_RMSPROP_MOMENTUM:
        *first = s.keep1 * *first + s.new1 * g * g;
        *second = s.momentum * *second + g / (PN_ROOTS(*first) + s.eps);
        return s.lr * *second;
    case PN_ADAM:
        *first += s.new1 * (g - *first);
        *second = s.keep2 * *second + s.new2 * g * g;
        return s.rate * *first / (PN_ROOTS(*second) * s.root + s.eps);
    default: return s.lr * g;
    }
}

/* Statistics of a watched update: sums of squares of the old parameter, the gradient and the step. */
typedef struct {
    PN_REAL steps[PN_UPDATE_BLOCK]; /* of a block; for sums that single precision cannot hold */
    PN_(pn_unaligned) sums[3];         /* of a block */
} PN_(pn_watched);

/* Update one vector. The step is rounded whether or not it is watched: otherwise the compiler would contract
 * multiplication and subtraction in one case only, and watching would change the result. */
static inline __attribute__((always_inline)) void PN_(pn_update_vector)(
    const int rule, const int decay, PN_(pn_unaligned) *w, const PN_(pn_unaligned) *gradient, PN_(pn_unaligned) *first,
    PN_(pn_unaligned) *second, const PN_(pn_numbers) s, PN_(pn_unaligned) sums[3], PN_(pn_unaligned) *kept) {
    const PN_(pn_unaligned) before = *w, raw = *gradient;
    PN_(pn_unaligned) g = s.scale * raw;
    if (decay == PN_COUPLED) g += s.decay * before;
    PN_(pn_unaligned) step = PN_(pn_step)(rule, g, first, second, s);
    if (decay == PN_DECOUPLED) step += s.decay * before;
    PN_ROUND(step);
    *w = before - step;
    if (kept) {
        *kept = step;
        sums[0] += before * before;
        sums[1] += raw * raw;
        sums[2] += step * step;
    }
}

/* Update n elements, at most a block if they are watched. Constant rule and decay give one loop without branches. */
static inline __attribute__((always_inline)) void PN_(pn_update_loop)(const int rule, const int decay,
                                                                      PN_REAL *restrict w, const PN_REAL *restrict grad,
                                                                      PN_REAL *restrict first, PN_REAL *restrict second,
                                                                      ptrdiff_t n, const PN_(pn_numbers) s,
                                                                      PN_(pn_watched) *restrict watched) {
    enum { LANES = PN_VECTOR_BYTES / sizeof(PN_REAL) };
    typedef PN_(pn_unaligned) vector;
    const int states = rule == PN_SGD_PLAIN ? 0 : rule == PN_RMSPROP_MOMENTUM || rule == PN_ADAM ? 2 : 1;
    vector sums[3] = {{0}};
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        PN_(pn_update_vector)(rule, decay, (vector *)(w + i), (const vector *)(grad + i),
                              states > 0 ? (vector *)(first + i) : NULL, states > 1 ? (vector *)(second + i) : NULL, s,
                              sums, watched ? (vector *)(watched->steps + i) : NULL);
    if (i < n) {
        PN_REAL *const arrays[3] = {w, first, second};
        const size_t bytes = (size_t)(n - i) * sizeof(PN_REAL);
        vector rest[3] = {{0}}, g = {0}, step;
        if (rule >= PN_ADAGRAD) rest[rule == PN_ADAM ? 2 : 1] += 1; /* under the root: avoids 0 / 0 in lanes beyond n */
        memcpy(&g, grad + i, bytes);
        for (int k = 0; k <= states; k++) memcpy(&rest[k], arrays[k] + i, bytes);
        PN_(pn_update_vector)(rule, decay, &rest[0], &g, &rest[1], &rest[2], s, sums, watched ? &step : NULL);
        for (int k = 0; k <= states; k++) memcpy(arrays[k] + i, &rest[k], bytes);
        if (watched) memcpy(watched->steps + i, &step, bytes);
    }
    if (watched)
        for (int kind = 0; kind < 3; kind++) watched->sums[kind] = sums[kind];
}

static void PN_(pn_update_span)(int rule, int decay, PN_REAL *w, const PN_REAL *g, PN_REAL *first, PN_REAL *second,
                                ptrdiff_t n, const PN_(pn_numbers) s, PN_(pn_watched) *watched) {
#define PN_LOOP(a_rule, a_decay)                                                  \
    if (watched)                                                                  \
        PN_(pn_update_loop)(a_rule, a_decay, w, g, first, second, n, s, watched); \
    else                                                                          \
        PN_(pn_update_loop)(a_rule, a_decay, w, g, first, second, n, s, NULL);    \
    break
#define PN_RULE(a_rule)                                 \
    case a_rule:                                        \
        switch (decay) {                                \
        case PN_NO_DECAY: PN_LOOP(a_rule, PN_NO_DECAY); \
        default: PN_LOOP(a_rule, PN_COUPLED);           \
        }                                               \
        break
    switch (rule) {
        PN_RULE(PN_SGD_PLAIN);
        PN_RULE(PN_SGD_MOMENTUM);
        PN_RULE(PN_SGD_NESTEROV);
        PN_RULE(PN_ADAGRAD);
        PN_RULE(PN_RMSPROP);
        PN_RULE(PN_RMSPROP_MOMENTUM);
    case PN_ADAM:
        switch (decay) {
        case PN_NO_DECAY: PN_LOOP(PN_ADAM, PN_NO_DECAY);
        case PN_COUPLED: PN_LOOP(PN_ADAM, PN_COUPLED);
        default: PN_LOOP(PN_ADAM, PN_DECOUPLED);
        }
    }
#undef PN_RULE
#undef PN_LOOP
}

/* Write the sums of squares of a block of n elements, just updated, to `sums`. If single precision overflowed or may
 * have underflowed, they are summed again in double precision. */
static void PN_(pn_update_sums)(const PN_(pn_watched) *watched, const PN_REAL *w, const PN_REAL *g, ptrdiff_t n,
                                double *sums) {
    for (int kind = 0; kind < 3; kind++) sums[kind] = PN_(pn_sum_of)(watched->sums[kind]);
    if (!(sums[0] > 1e-24 && sums[0] < 1e36)) {
        sums[0] = 0;
        for (ptrdiff_t i = 0; i < n; i++) {
            const double before = (double)w[i] + (double)watched->steps[i];
            sums[0] += before * before;
        }
    }
    if (!(sums[1] > 1e-24 && sums[1] < 1e36)) sums[1] = PN_(pn_square_sum)(g, n);
    if (!(sums[2] > 1e-24 && sums[2] < 1e36)) sums[2] = PN_(pn_square_sum)(watched->steps, n);
}

/* Update these elements, which belong to one segment; `sums` receives the sums of each block, unless it is NULL. */
static void PN_(pn_update_elements)(const pn_update_call *p, ptrdiff_t start, ptrdiff_t stop, double lr, double decay,
                                    double *sums) {
    const PN_(pn_numbers) s = {
        .lr = (PN_REAL)lr,
        .scale = (PN_REAL)p->grad_scale,
        .decay = (PN_REAL)(p->decoupled ? lr * decay : decay),
        .momentum = (PN_REAL)(p->momentum ? p->momentum[0] : 0),
        .eps = (PN_REAL)p->eps,
        .keep1 = (PN_REAL)p->decay1,
        .keep2 = (PN_REAL)p->decay2,
        .new1 = (PN_REAL)(1 - p->decay1),
        .new2 = (PN_REAL)(1 - p->decay2),
        .rate = (PN_REAL)(lr / p->bias1),
        .root = (PN_REAL)(1 / sqrt(p->bias2)),
    };
    const int kind = s.decay == 0 ? PN_NO_DECAY : p->decoupled ? PN_DECOUPLED : PN_COUPLED;
    PN_REAL *w = (PN_REAL *)p->param, *first = (PN_REAL *)p->first, *second = (PN_REAL *)p->second;
    const PN_REAL *g = (const PN_REAL *)p->grad;
    PN_(pn_watched) watched;
    const ptrdiff_t block = sums ? PN_UPDATE_BLOCK : stop - start;
    for (ptrdiff_t at = start; at < stop; at += block) {
        const ptrdiff_t n = pn_min(stop - at, block);
        PN_(pn_update_span)(p->rule, kind, w + at, g + at, first ? first + at : NULL, second ? second + at : NULL, n, s,
                            sums ? &watched : NULL);
        if (!sums) continue;
        PN_(pn_update_sums)(&watched, w + at, g + at, n, sums);
        sums += 3;
    }
}

/* Each segment is split among the parts, so that a large one does not fall to a single part. */
static void PN_(pn_update_part)(void *argument, int index) {
    const pn_update_call *p = (const pn_update_call *)argument;
    const pn_float_mode mode = pn_flush_denormals();
    double *sums = p->sums; /* of the segment */
    for (ptrdiff_t i = 0; i < p->segments; i++) {
        const ptrdiff_t first = p->bounds[2 * i], n = p->bounds[2 * i + 1] - first;
        const ptrdiff_t start = pn_part_start(n, PN_UPDATE_BLOCK, index, p->parts);
        const ptrdiff_t stop = pn_part_start(n, PN_UPDATE_BLOCK, index + 1, p->parts);
        PN_(pn_update_elements)(p, first + start, first + stop, p->rates[2 * i], p->rates[2 * i + 1],
                                sums ? sums + 3 * (start / PN_UPDATE_BLOCK) : NULL);
        if (sums) sums += 3 * pn_ceil_div(n, PN_UPDATE_BLOCK);
    }
    pn_restore_denormals(mode);
}

#undef PN_REAL
#undef PN_
#undef PN_SQRT
#undef PN_ROOTS
