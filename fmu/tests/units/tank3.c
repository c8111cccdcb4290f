/* The heated tank of tank2.c as a unit of FMI 3.0. A power of 91 discards the step, 92 asks to end, 93 fails. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void (*logger_t)(void *, int, const char *, const char *);
typedef struct { double power, tau, level, t; float ambient; uint8_t steps; bool on; logger_t log; void *environment; } tank_t;

enum { OK, WARNING, DISCARD, ERROR, FATAL };

static int complain(tank_t *tank, int status, const char *why) {
  tank->log(tank->environment, status, "logAll", why);
  return status;
}

const char *fmi3GetVersion(void) { return "3.0"; }

void *fmi3InstantiateCoSimulation(const char *name, const char *token, const char *resources, bool visible, bool logging,
                                  bool events, bool early, const uint32_t needed[], size_t n, void *environment,
                                  logger_t log, void *update) {
  tank_t *tank = calloc(1, sizeof *tank);
  *tank = (tank_t){.tau = 10, .level = 20, .ambient = 20, .on = true, .log = log, .environment = environment};
  if (strcmp(token, "{tank3}") != 0 || events || early) {
    complain(tank, ERROR, "the token is another");
    return NULL;
  }
  return tank;
}
void fmi3FreeInstance(void *c) { free(c); }
int fmi3EnterInitializationMode(void *c, bool has_tolerance, double tolerance, double start, bool has_stop, double stop) {
  ((tank_t *)c)->t = start;
  return OK;
}
int fmi3ExitInitializationMode(void *c) { return OK; }
int fmi3SetFloat64(void *c, const uint32_t *at, size_t n, const double *value, size_t values) {
  tank_t *tank = c;
  double *reals[] = {&tank->power, &tank->tau, &tank->level};
  for (size_t i = 0; i < n; i++) *reals[at[i]] = value[i];
  return OK;
}
int fmi3GetFloat64(void *c, const uint32_t *at, size_t n, double *value, size_t values) {
  tank_t *tank = c;
  double reals[] = {tank->power, tank->tau, tank->level};
  for (size_t i = 0; i < n; i++) value[i] = reals[at[i]];
  return OK;
}
int fmi3SetFloat32(void *c, const uint32_t *at, size_t n, const float *value, size_t values) {
  ((tank_t *)c)->ambient = value[0];
  return OK;
}
int fmi3GetUInt8(void *c, const uint32_t *at, size_t n, uint8_t *value, size_t values) {
  value[0] = ((tank_t *)c)->steps;
  return OK;
}
int fmi3SetBoolean(void *c, const uint32_t *at, size_t n, const bool *value, size_t values) {
  ((tank_t *)c)->on = value[0];
  return OK;
}
int fmi3DoStep(void *c, double t, double dt, bool keep, bool *event, bool *end, bool *early, double *last) {
  tank_t *tank = c;
  if (fabs(t - tank->t) > 1e-9) return complain(tank, ERROR, "asked for another time than mine");
  if (tank->power == 91) return complain(tank, DISCARD, "too steep");
  if (tank->power == 93) return complain(tank, ERROR, "no solution");
  *end = tank->power == 92;
  double rest = tank->ambient + (tank->on ? tank->power : 0);
  tank->level = rest + (tank->level - rest) * exp(-dt / tank->tau);
  tank->t = *last = t + dt;
  tank->steps++;
  return OK;
}
