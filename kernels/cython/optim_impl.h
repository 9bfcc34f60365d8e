/* Template, included by optim.h once per floating type. */

/* Numbers of a rule in the arrays' own precision. */
typedef struct {
    PN_REAL lr, scale, decay, momentum, eps, keep1, keep2, new1, new2, rate, root;
} PN_(pn_numbers);

/* Update n elements, and keep their updates, whether or not they are watched: otherwise the compiler would contract
 * multiplication and subtraction in one case only, and watching would change bits. With constant rule and decay it leaves
 * one loop without a branch. */
static inline __attribute__((always_inline)) void PN_(pn_update_loop)(
    const int rule, const int decay, PN_REAL *restrict w, const PN_REAL *restrict grad, PN_REAL *restrict first,
    PN_REAL *restrict second, PN_REAL *restrict updates, ptrdiff_t n, const PN_(pn_numbers) s) {
    for (ptrdiff_t i = 0; i < n; i++) {
        PN_REAL g = s.scale * grad[i], step;
        if (decay == PN_COUPLED) g += s.decay * w[i];
        switch (rule) {
        case PN_SGD_MOMENTUM:
            first[i] = s.momentum * first[i] + g;
            step = s.lr * first[i];
            break;
        case PN_SGD_NESTEROV:
            first[i] = s.momentum * first[i] + g;
            step = s.lr * (g + s.momentum * first[i]);
            break;
        case PN_ADAGRAD:
            first[i] += g * g;
            step = s.lr * g / (PN_SQRT(first[i]) + s.eps);
            break;
        case PN_RMSPROP:
            first[i] = s.keep1 * first[i] + s.new1 * g * g;
            step = s.lr * (g / (PN_SQRT(first[i]) + s.eps));
            break;
        case PN_RMSPROP_MOMENTUM:
            first[i] = s.keep1 * first[i] + s.new1 * g * g;
            second[i] = s.momentum * second[i] + g / (PN_SQRT(first[i]) + s.eps);
            step = s.lr * second[i];
            break;
        case PN_ADAM:
            first[i] += s.new1 * (g - first[i]);
            second[i] = s.keep2 * second[i] + s.new2 * g * g;
            step = s.rate * first[i] / (PN_SQRT(second[i]) * s.root + s.eps);
            break;
        default:
            step = s.lr * g;
        }
        if (decay == PN_DECOUPLED) step += s.decay * w[i];
        updates[i] = step;
        w[i] -= step;
    }
}

static void PN_(pn_update_span)(int rule, int decay, PN_REAL *w, const PN_REAL *g, PN_REAL *first, PN_REAL *second,
                                PN_REAL *updates, ptrdiff_t n, const PN_(pn_numbers) s) {
#define PN_LOOP(a_rule, a_decay)                                              \
    PN_(pn_update_loop)(a_rule, a_decay, w, g, first, second, updates, n, s); \
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

/* Add the sums of squares of n parameters as they were before their updates, of their gradients, and of the updates:
 * behind the update, while all three are in the first-level cache, in one pass. Where single precision overflows or may
 * have underflowed, in double precision again. */
static void PN_(pn_update_sums)(const PN_REAL *w, const PN_REAL *g, const PN_REAL *updates, ptrdiff_t n, double *stats) {
    enum { LANES = PN_VECTOR_BYTES / sizeof(PN_REAL) };
    typedef PN_(pn_lanes) vector;
    vector part[3][2] = {{{0}}};
    double sums[3];
    ptrdiff_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (int k = 0; k < 2; k++) {
            const vector u = *(const vector *)(updates + i + k * LANES), d = *(const vector *)(g + i + k * LANES);
            const vector before = *(const vector *)(w + i + k * LANES) + u;
            part[0][k] += before * before;
            part[1][k] += d * d;
            part[2][k] += u * u;
        }
    for (int kind = 0; kind < 3; kind++) sums[kind] = PN_(pn_sum_of)(part[kind][0] + part[kind][1]);
    const ptrdiff_t whole = i;
    if ((sums[0] > 0 && sums[0] < 1e-24) || !(sums[0] < 1e36)) sums[0] = 0, i = 0;
    for (; i < n; i++) sums[0] += ((double)w[i] + (double)updates[i]) * ((double)w[i] + (double)updates[i]);
    const PN_REAL *const arrays[3] = {w, g, updates};
    for (int kind = 1; kind < 3; kind++) {
        const ptrdiff_t from = sums[kind] > 1e-24 && sums[kind] < 1e36 ? whole : 0;
        if (from < n) sums[kind] = (from ? sums[kind] : 0) + PN_(pn_square_sum)(arrays[kind] + from, n - from);
    }
    for (int kind = 0; kind < 3; kind++) stats[kind] += sums[kind];
}

static void PN_(pn_update_segment)(const pn_update_call *p, ptrdiff_t start, ptrdiff_t stop, double lr, double decay,
                                   double *stats) {
    const PN_(pn_numbers) s = {
        .lr = (PN_REAL)lr,
        .scale = (PN_REAL)p->grad_scale,
        .decay = (PN_REAL)(p->decoupled ? lr * decay : decay),
        .momentum = (PN_REAL)p->momentum,
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
    PN_REAL updates[PN_UPDATE_BLOCK] __attribute__((aligned(64)));
    if (stats) stats[0] = stats[1] = stats[2] = 0;
    for (ptrdiff_t at = start; at < stop; at += PN_UPDATE_BLOCK) {
        const ptrdiff_t n = stop - at < PN_UPDATE_BLOCK ? stop - at : PN_UPDATE_BLOCK;
        PN_(pn_update_span)(p->rule, kind, w + at, g + at, first ? first + at : NULL, second ? second + at : NULL,
                            updates, n, s);
        if (stats) PN_(pn_update_sums)(w + at, g + at, updates, n, stats);
    }
    if (stats) stats[1] *= p->grad_scale * p->grad_scale;
}

/* Each segment is shared out among the parts, so that a large one is nobody's alone. */
static void PN_(pn_update_part)(void *argument, int index) {
    const pn_update_call *p = (const pn_update_call *)argument;
    const pn_float_mode mode = pn_flush_denormals();
    for (ptrdiff_t i = 0; i < p->segments; i++) {
        const ptrdiff_t start = p->bounds[2 * i], n = p->bounds[2 * i + 1] - start;
        PN_(pn_update_segment)(p, start + pn_part_start(n, PN_UPDATE_STEP, index, p->parts),
                               start + pn_part_start(n, PN_UPDATE_STEP, index + 1, p->parts), p->rates[2 * i],
                               p->rates[2 * i + 1],
                               p->sums ? p->sums + 3 * (index * p->segments + i) : NULL);
    }
    pn_restore_denormals(mode);
}

#undef PN_REAL
#undef PN_
#undef PN_SQRT
