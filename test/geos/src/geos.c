/* An independent judge of geometry: GEOS with prepared geometries and a tree over the zones, as its users would use it.
 * It reads worlds and queries from standard input and writes answers to standard output; all numbers are little-endian.
 *
 *   'W' n, then for each zone: blocked from to rings, then for each ring: n, x y of each vertex
 *       -> for each zone whether it is valid (u8), processor time of building in ns (i64), bytes on the heap (i64)
 *   'Q' kind rounds n, then n records of the kind's size
 *       -> processor time of all rounds but the last in ns (i64), then for each record:
 *          signed distance: f64 in mm; else: number of zones and their indices, ascending (i32)
 *
 * Kinds and records, in whole millimetres: 1 point (x y), 2 signed distance (x y), 3 footprint (n, 12 x y),
 * 4 capsule (x y x y r), 5 parts (30 times: x y x y z z r). */
#include <geos_c.h>
#include <malloc.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AT = 1, DISTANCE, FOOTPRINT, CAPSULE, PARTS, KINDS };
enum { FOOT = 12, LINKS = 30, LINK = 7, MAX_RINGS = 16 };
static const int sizes[KINDS] = {0, 2, 2, 1 + 2 * FOOT, 5, LINKS * LINK};

struct zone {
  int32_t blocked, from, to;
  GEOSGeometry *area, *edge;
  const GEOSPreparedGeometry *area_ready, *edge_ready;
};

static GEOSContextHandle_t ctx;
static struct zone *zones;
static int32_t count;
static GEOSSTRtree *tree;
static GEOSGeometry *all_edges;
static const GEOSPreparedGeometry *all_edges_ready;

static int32_t *near, near_count; /* what the tree proposes */
static int32_t *hits, hit_count;

static void fail(const char *what) {
  fprintf(stderr, "geos peer: %s\n", what);
  exit(1);
}

static void on_error(const char *message, void *unused) {
  (void)unused;
  fail(message);
}

static void get(void *to, size_t size, size_t n) {
  if (fread(to, size, n, stdin) != n) fail("input ends within a message");
}

static int32_t number(void) {
  int32_t v;
  get(&v, sizeof v, 1);
  return v;
}

static void put(const void *from, size_t size, size_t n) {
  if (fwrite(from, size, n, stdout) != n) fail("output is closed");
}

/* now is processor time: what else runs on the machine counts little. */
static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static GEOSCoordSequence *points(const int32_t *xy, int n, int closed) {
  GEOSCoordSequence *s = GEOSCoordSeq_create_r(ctx, n + closed, 2);
  for (int i = 0; i < n + closed; i++) GEOSCoordSeq_setXY_r(ctx, s, i, xy[2 * (i % n)], xy[2 * (i % n) + 1]);
  return s;
}

static GEOSGeometry *ring(const int32_t *xy, int n) { return GEOSGeom_createLinearRing_r(ctx, points(xy, n, 1)); }

/* segment is a point where both ends are the same. */
static GEOSGeometry *segment(const int32_t *xy) {
  if (xy[0] == xy[2] && xy[1] == xy[3]) return GEOSGeom_createPointFromXY_r(ctx, xy[0], xy[1]);
  return GEOSGeom_createLineString_r(ctx, points(xy, 2, 0));
}

static void drop_world(void) {
  if (all_edges_ready) GEOSPreparedGeom_destroy_r(ctx, all_edges_ready);
  if (all_edges) GEOSGeom_destroy_r(ctx, all_edges);
  if (tree) GEOSSTRtree_destroy_r(ctx, tree);
  for (int i = 0; i < count; i++) {
    GEOSPreparedGeom_destroy_r(ctx, zones[i].area_ready);
    GEOSPreparedGeom_destroy_r(ctx, zones[i].edge_ready);
    GEOSGeom_destroy_r(ctx, zones[i].area);
    GEOSGeom_destroy_r(ctx, zones[i].edge);
  }
  free(zones);
  free(near);
  free(hits);
  all_edges_ready = NULL, all_edges = NULL, tree = NULL, zones = NULL, count = 0;
}

static uint8_t read_zone(struct zone *z) {
  GEOSGeometry *rings[MAX_RINGS];
  z->blocked = number(), z->from = number(), z->to = number();
  int n = number();
  if (n < 1 || n > MAX_RINGS) fail("a zone has no rings or too many");
  for (int r = 0; r < n; r++) {
    int vertices = number();
    int32_t *xy = malloc(sizeof(int32_t) * 2 * (size_t)vertices);
    get(xy, 2 * sizeof(int32_t), vertices);
    rings[r] = ring(xy, vertices);
    free(xy);
  }
  z->area = GEOSGeom_createPolygon_r(ctx, rings[0], rings + 1, n - 1);
  z->edge = GEOSBoundary_r(ctx, z->area);
  return GEOSisValid_r(ctx, z->area) == 1;
}

/* warm makes GEOS build what it builds on first use. */
static void warm(void) {
  double d;
  for (int i = 0; i < count; i++) {
    double x, y;
    GEOSGeom_getXMin_r(ctx, zones[i].area, &x);
    GEOSGeom_getYMin_r(ctx, zones[i].area, &y);
    GEOSGeometry *p = GEOSGeom_createPointFromXY_r(ctx, x + 1, y + 1);
    GEOSPreparedIntersects_r(ctx, zones[i].area_ready, p);
    GEOSPreparedDistanceWithin_r(ctx, zones[i].area_ready, p, 1);
    if (zones[i].blocked) GEOSPreparedDistance_r(ctx, zones[i].edge_ready, p, &d);
    if (i == 0 && all_edges_ready) GEOSPreparedDistance_r(ctx, all_edges_ready, p, &d);
    GEOSGeom_destroy_r(ctx, p);
  }
}

static void read_world(void) {
  drop_world();
  size_t before = mallinfo2().uordblks;
  int32_t n = number();
  uint8_t *valid = malloc(n);
  zones = calloc(n, sizeof *zones);
  near = calloc(n, sizeof *near), hits = calloc(n, sizeof *hits);
  for (count = 0; count < n; count++) valid[count] = read_zone(&zones[count]);
  int64_t start = now();
  tree = GEOSSTRtree_create_r(ctx, 10);
  GEOSGeometry **edges = malloc(sizeof *edges * n * MAX_RINGS);
  unsigned parts = 0;
  for (int i = 0; i < n; i++) {
    struct zone *z = &zones[i];
    z->area_ready = GEOSPrepare_r(ctx, z->area);
    z->edge_ready = GEOSPrepare_r(ctx, z->edge);
    GEOSSTRtree_insert_r(ctx, tree, z->area, (void *)(intptr_t)i);
    for (int k = 0; z->blocked && k < GEOSGetNumGeometries_r(ctx, z->edge); k++)
      edges[parts++] = GEOSGeom_clone_r(ctx, GEOSGetGeometryN_r(ctx, z->edge, k));
  }
  if (parts) {
    all_edges = GEOSGeom_createCollection_r(ctx, GEOS_MULTILINESTRING, edges, parts);
    all_edges_ready = GEOSPrepare_r(ctx, all_edges);
  }
  free(edges);
  warm();
  int64_t took = now() - start, grown = (int64_t)(mallinfo2().uordblks - before);
  put(valid, 1, n);
  free(valid);
  put(&took, sizeof took, 1);
  put(&grown, sizeof grown, 1);
}

static void propose(void *item, void *unused) {
  (void)unused;
  near[near_count++] = (int32_t)(intptr_t)item;
}

static void ask_tree(const GEOSGeometry *g) {
  near_count = 0;
  GEOSSTRtree_query_r(ctx, tree, g, propose, NULL);
}

static void box_tree(int64_t x0, int64_t y0, int64_t x1, int64_t y1) {
  GEOSCoordSequence *s = GEOSCoordSeq_create_r(ctx, 2, 2);
  GEOSCoordSeq_setXY_r(ctx, s, 0, x0, y0);
  GEOSCoordSeq_setXY_r(ctx, s, 1, x1, y1);
  GEOSGeometry *g = GEOSGeom_createLineString_r(ctx, s);
  ask_tree(g);
  GEOSGeom_destroy_r(ctx, g);
}

static void at_or_footprint(GEOSGeometry *g) {
  ask_tree(g);
  for (int k = 0; k < near_count; k++)
    if (GEOSPreparedIntersects_r(ctx, zones[near[k]].area_ready, g)) hits[hit_count++] = near[k];
  GEOSGeom_destroy_r(ctx, g);
}

static double signed_distance(const int32_t *q) {
  double deepest = -1, d = INFINITY;
  GEOSGeometry *p = GEOSGeom_createPointFromXY_r(ctx, q[0], q[1]);
  ask_tree(p);
  for (int k = 0; k < near_count; k++) {
    struct zone *z = &zones[near[k]];
    if (!z->blocked || !GEOSPreparedIntersects_r(ctx, z->area_ready, p)) continue;
    GEOSPreparedDistance_r(ctx, z->edge_ready, p, &d);
    if (d > deepest) deepest = d;
  }
  if (deepest >= 0)
    d = -deepest;
  else if (all_edges_ready)
    GEOSPreparedDistance_r(ctx, all_edges_ready, p, &d);
  GEOSGeom_destroy_r(ctx, p);
  return d;
}

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static void capsule(const int32_t *q) {
  int64_t r = q[4];
  GEOSGeometry *g = segment(q);
  box_tree(MIN(q[0], q[2]) - r, MIN(q[1], q[3]) - r, MAX(q[0], q[2]) + r, MAX(q[1], q[3]) + r);
  for (int k = 0; k < near_count; k++)
    if (GEOSPreparedDistanceWithin_r(ctx, zones[near[k]].area_ready, g, r)) hits[hit_count++] = near[k];
  GEOSGeom_destroy_r(ctx, g);
}

static int part_hits(const int32_t *p, const GEOSGeometry *g, const struct zone *z) {
  int64_t low = (int64_t)MIN(p[4], p[5]) - p[6], top = (int64_t)MAX(p[4], p[5]) + p[6];
  return top >= z->from && low <= z->to && GEOSPreparedDistanceWithin_r(ctx, z->area_ready, g, p[6]);
}

static void parts(const int32_t *q) {
  GEOSGeometry *g[LINKS];
  int64_t x0 = INT32_MAX, y0 = INT32_MAX, x1 = INT32_MIN, y1 = INT32_MIN;
  for (int i = 0; i < LINKS; i++) {
    const int32_t *p = q + LINK * i;
    g[i] = segment(p);
    x0 = MIN(x0, MIN(p[0], p[2]) - p[6]), x1 = MAX(x1, MAX(p[0], p[2]) + p[6]);
    y0 = MIN(y0, MIN(p[1], p[3]) - p[6]), y1 = MAX(y1, MAX(p[1], p[3]) + p[6]);
  }
  box_tree(x0, y0, x1, y1);
  for (int k = 0; k < near_count; k++)
    for (int i = 0; i < LINKS; i++)
      if (part_hits(q + LINK * i, g[i], &zones[near[k]])) {
        hits[hit_count++] = near[k];
        break;
      }
  for (int i = 0; i < LINKS; i++) GEOSGeom_destroy_r(ctx, g[i]);
}

static int ascending(const void *a, const void *b) { return *(const int32_t *)a - *(const int32_t *)b; }

static double answer(int kind, const int32_t *q) {
  double d = 0;
  hit_count = 0;
  switch (kind) {
    case AT: at_or_footprint(GEOSGeom_createPointFromXY_r(ctx, q[0], q[1])); break;
    case DISTANCE: return signed_distance(q);
    case FOOTPRINT: at_or_footprint(GEOSGeom_createPolygon_r(ctx, ring(q + 1, q[0]), NULL, 0)); break;
    case CAPSULE: capsule(q); break;
    case PARTS: parts(q); break;
  }
  qsort(hits, hit_count, sizeof *hits, ascending);
  return d;
}

static void read_queries(void) {
  int kind = number(), rounds = number(), n = number();
  if (kind < AT || kind > PARTS) fail("a kind of query that does not exist");
  size_t size = sizes[kind];
  int32_t *q = malloc(sizeof(int32_t) * size * n);
  get(q, sizeof(int32_t) * size, n);
  int64_t took = 0;
  for (int r = 1; r < rounds; r++) { /* the last one is written out */
    int64_t start = now();
    for (int i = 0; i < n; i++) answer(kind, q + size * i);
    took += now() - start;
  }
  put(&took, sizeof took, 1);
  for (int i = 0; i < n; i++) {
    double d = answer(kind, q + size * i);
    if (kind == DISTANCE) {
      put(&d, sizeof d, 1);
      continue;
    }
    put(&hit_count, sizeof hit_count, 1);
    put(hits, sizeof *hits, hit_count);
  }
  free(q);
}

int main(void) {
  ctx = GEOS_init_r();
  GEOSContext_setErrorMessageHandler_r(ctx, on_error, NULL);
  for (int c; (c = getchar()) != EOF; fflush(stdout)) {
    if (c == 'W')
      read_world();
    else if (c == 'Q')
      read_queries();
    else
      fail("a message that does not exist");
  }
  drop_world();
  GEOS_finish_r(ctx);
  return 0;
}
