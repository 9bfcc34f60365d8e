/* Template, included by batchnorm_template.h per floating type, for vectors and for single columns: PN_V holds
 * PN_V_LANES columns, PN_V_ZERO(where, v) is v with 0 where the condition holds, PN_V_FMA(a, b, c) is a b + c, rounded
 * once where the processor can: left to itself, GCC multiplies some single columns beforehand, several at a time.
 *
 * Each function processes some rows of a few vectors of columns, with all per-column values in registers. `count`,
 * `relu` and `place` are constants once inlined. Rows are `stride` elements apart; vectors may be unaligned. */

#define PN_COLUMNS_ARGUMENTS \
    const int count, const int relu, const int place, const PN_(pn_rows) t, ptrdiff_t at, const ptrdiff_t slot
#define PN_LOAD(array, k) (*(const PN_V *)((array) + (k) * PN_V_LANES))
#define PN_STORE_TO(array, k, v) (*(PN_V *)((array) + (k) * PN_V_LANES) = (v))
#define PN_EACH _Pragma("GCC unroll 4") for (int k = 0; k < count; k++)
#define PN_ROWS for (ptrdiff_t i = 0; i < t.rows; i++, at += t.stride)

/* Add the differences from the pivot to `sum`, and their squares to `squares`. */
static inline __attribute__((always_inline)) void PN_V_(pn_moments)(PN_COLUMNS_ARGUMENTS) {
    (void)relu;
    PN_V pivot[PN_MAX_VECTORS], sum[PN_MAX_VECTORS], squares[PN_MAX_VECTORS];
    PN_EACH pivot[k] = PN_LOAD(t.centre + at, k), sum[k] = PN_LOAD(t.sum + slot, k),
            squares[k] = PN_LOAD(t.products + slot, k);
    PN_ROWS PN_EACH {
        const PN_V d = PN_LOAD(t.x + at, k) - pivot[k];
        sum[k] += d;
        squares[k] = PN_V_FMA(d, d, squares[k]);
        if (place != PN_IN_CACHE) __builtin_prefetch(t.x + at + t.ahead + k * PN_V_LANES, 0, 2);
    }
    PN_EACH {
        PN_STORE_TO(t.sum + slot, k, sum[k]);
        PN_STORE_TO(t.products + slot, k, squares[k]);
    }
}

/* y = (x - centre) scale + shift, then ReLU if `relu`. */
static inline __attribute__((always_inline)) void PN_V_(pn_normalize)(PN_COLUMNS_ARGUMENTS) {
    (void)slot;
    PN_V centre[PN_MAX_VECTORS], scale[PN_MAX_VECTORS], shift[PN_MAX_VECTORS];
    PN_EACH centre[k] = PN_LOAD(t.centre + at, k), scale[k] = PN_LOAD(t.scale + at, k),
            shift[k] = PN_LOAD(t.shift + at, k);
    PN_ROWS PN_EACH {
        PN_V z = PN_V_FMA(PN_LOAD(t.x + at, k) - centre[k], scale[k], shift[k]);
        if (relu) z = PN_V_ZERO(z < 0, z);
        if (place == PN_NONTEMPORAL)
            PN_V_STREAM(t.out + at + k * PN_V_LANES, z);
        else
            PN_STORE_TO(t.out + at, k, z);
        if (place != PN_IN_CACHE) __builtin_prefetch(t.x + at + t.ahead + k * PN_V_LANES, 0, 2);
        if (place == PN_IN_MEMORY) __builtin_prefetch(t.out + at + t.ahead + k * PN_V_LANES, 1, 2);
    }
}

/* The gradient before the ReLU, whose input is recomputed as in the forward pass; dy itself without ReLU. */
#define PN_GRADIENT(d, dz)                           \
    PN_V dz = PN_LOAD(t.dy + at, k);                 \
    const PN_V d = PN_LOAD(t.x + at, k) - centre[k]; \
    if (relu) dz = PN_V_ZERO(PN_V_FMA(d, scale[k], shift[k]) <= 0, dz);

/* Add dz to `sum`, and dz (x - centre) to `products`. */
static inline __attribute__((always_inline)) void PN_V_(pn_gradient_sums)(PN_COLUMNS_ARGUMENTS) {
    PN_V centre[PN_MAX_VECTORS], scale[PN_MAX_VECTORS], shift[PN_MAX_VECTORS], sum[PN_MAX_VECTORS],
        products[PN_MAX_VECTORS];
    PN_EACH centre[k] = PN_LOAD(t.centre + at, k), scale[k] = PN_LOAD(t.scale + at, k),
            shift[k] = PN_LOAD(t.shift + at, k), sum[k] = PN_LOAD(t.sum + slot, k),
            products[k] = PN_LOAD(t.products + slot, k);
    PN_ROWS PN_EACH {
        PN_GRADIENT(d, dz);
        sum[k] += dz;
        products[k] = PN_V_FMA(dz, d, products[k]);
        if (place != PN_IN_CACHE) {
            __builtin_prefetch(t.x + at + t.ahead + k * PN_V_LANES, 0, 2);
            __builtin_prefetch(t.dy + at + t.ahead + k * PN_V_LANES, 0, 2);
        }
    }
    PN_EACH {
        PN_STORE_TO(t.sum + slot, k, sum[k]);
        PN_STORE_TO(t.products + slot, k, products[k]);
    }
}

/* dx = scale dz + slope (x - centre) + offset. */
static inline __attribute__((always_inline)) void PN_V_(pn_input_gradient)(PN_COLUMNS_ARGUMENTS) {
    (void)slot;
    PN_V centre[PN_MAX_VECTORS], scale[PN_MAX_VECTORS], shift[PN_MAX_VECTORS], slope[PN_MAX_VECTORS],
        offset[PN_MAX_VECTORS];
    PN_EACH centre[k] = PN_LOAD(t.centre + at, k), scale[k] = PN_LOAD(t.scale + at, k),
            shift[k] = PN_LOAD(t.shift + at, k), slope[k] = PN_LOAD(t.slope + at, k),
            offset[k] = PN_LOAD(t.offset + at, k);
    PN_ROWS PN_EACH {
        PN_GRADIENT(d, dz);
        const PN_V dx = PN_V_FMA(dz, scale[k], PN_V_FMA(d, slope[k], offset[k]));
        if (place == PN_NONTEMPORAL)
            PN_V_STREAM(t.out + at + k * PN_V_LANES, dx);
        else
            PN_STORE_TO(t.out + at, k, dx);
        if (place != PN_IN_CACHE) {
            __builtin_prefetch(t.x + at + t.ahead + k * PN_V_LANES, 0, 2);
            __builtin_prefetch(t.dy + at + t.ahead + k * PN_V_LANES, 0, 2);
        }
        if (place == PN_IN_MEMORY) __builtin_prefetch(t.out + at + t.ahead + k * PN_V_LANES, 1, 2);
    }
}
#undef PN_GRADIENT
#undef PN_COLUMNS_ARGUMENTS
#undef PN_LOAD
#undef PN_STORE_TO
#undef PN_EACH
#undef PN_ROWS

/* A function over all columns, with constants for the number of vectors at a time, the ReLU and the place. Leftover
 * columns that do not fill a vector go to a last vector that overlaps the previous one: both write the same results,
 * and sums have an extra slot at the end. */
#define PN_OVER_COLUMNS(name)                                                                                \
    static inline __attribute__((always_inline)) void PN_V_(name##_columns)(const int relu, const int place, \
                                                                            const PN_(pn_rows) t) {          \
        for (ptrdiff_t j = 0; j < t.columns; j += PN_MAX_VECTORS * PN_V_LANES) {                             \
            const ptrdiff_t left = t.columns - j;                                                            \
            switch (left / PN_V_LANES) {                                                                     \
            case 0: break;                                                                                   \
            case 1: PN_V_(name)(1, relu, place, t, j, j); break;                                             \
            case 2: PN_V_(name)(2, relu, place, t, j, j); break;                                             \
            case 3: PN_V_(name)(3, relu, place, t, j, j); break;                                             \
            default: PN_V_(name)(4, relu, place, t, j, j);                                                   \
            }                                                                                                \
            if (left < PN_MAX_VECTORS * PN_V_LANES && left % PN_V_LANES)                                     \
                PN_V_(name)(1, relu, place, t, t.columns - PN_V_LANES, t.columns);                           \
        }                                                                                                    \
    }                                                                                                        \
    static void PN_V_(name##_rows)(int relu, int place, const PN_(pn_rows) t) {                              \
        switch (2 * place + relu) {                                                                          \
        case 2 * PN_IN_CACHE: PN_V_(name##_columns)(0, PN_IN_CACHE, t); break;                               \
        case 2 * PN_IN_CACHE + 1: PN_V_(name##_columns)(1, PN_IN_CACHE, t); break;                           \
        case 2 * PN_IN_MEMORY: PN_V_(name##_columns)(0, PN_IN_MEMORY, t); break;                             \
        case 2 * PN_IN_MEMORY + 1: PN_V_(name##_columns)(1, PN_IN_MEMORY, t); break;                         \
        case 2 * PN_NONTEMPORAL: PN_V_(name##_columns)(0, PN_NONTEMPORAL, t); break;                         \
        default: PN_V_(name##_columns)(1, PN_NONTEMPORAL, t);                                                \
        }                                                                                                    \
    }
PN_OVER_COLUMNS(pn_moments)
PN_OVER_COLUMNS(pn_normalize)
PN_OVER_COLUMNS(pn_gradient_sums)
PN_OVER_COLUMNS(pn_input_gradient)
#undef PN_OVER_COLUMNS
#undef PN_V
#undef PN_V_
#undef PN_V_LANES
#undef PN_V_ZERO
#undef PN_V_FMA
#undef PN_V_STREAM
