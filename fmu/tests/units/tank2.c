/* A heated tank as a unit of FMI 2.0, for the tests: der(T) = (power - (T - 20)) / tau, in equal exact steps.
 *
 * Only what `outrigger-fmu` calls is here. A power above 90 makes trouble: 91 discards the step, 92 discards it and asks
 * to end, 93 fails, 94 is fatal, 95 crashes, 97 answers with a status that no standard has, 98 gives a NaN. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*logger_t)(void *, const char *, int, const char *, const char *, ...);
typedef struct { logger_t log; void *(*allocate)(size_t, size_t); void (*release)(void *); void *finished; void *environment; } callbacks_t;
typedef struct { double power, tau, level, t; int on, steps, end, running; callbacks_t call; } tank_t;

enum { OK, WARNING, DISCARD, ERROR, FATAL };

static int complain(tank_t *tank, int status, const char *why) {
  tank->call.log(tank->call.environment, "tank", status, "logAll", "%s at %g s", why, tank->t);
  return status;
}

const char *fmi2GetVersion(void) { return "2.0"; }
const char *fmi2GetTypesPlatform(void) { return "default"; }

void *fmi2Instantiate(const char *name, int type, const char *guid, const char *resources, const callbacks_t *call,
                      int visible, int logging) {
  tank_t *tank = calloc(1, sizeof *tank);
  *tank = (tank_t){.power = 0, .tau = 10, .level = 20, .on = 1, .call = *call};
  printf("a unit that prints to standard output\n");
  if (strcmp(guid, "{tank & \"2\"}") != 0) {
    complain(tank, ERROR, "the guid is another");
    return NULL;
  }
  return tank;
}
void fmi2FreeInstance(void *c) { free(c); }
int fmi2SetupExperiment(void *c, int has_tolerance, double tolerance, double start, int has_stop, double stop) {
  ((tank_t *)c)->t = start;
  return OK;
}
int fmi2EnterInitializationMode(void *c) { return ((tank_t *)c)->running ? ERROR : OK; }
int fmi2ExitInitializationMode(void *c) {
  tank_t *tank = c;
  tank->running = 1;
  return tank->tau > 0 ? OK : complain(tank, ERROR, "tau must be above 0");
}
int fmi2Terminate(void *c) { return OK; }
int fmi2Reset(void *c) {
  tank_t *tank = c;
  *tank = (tank_t){.power = 0, .tau = 10, .level = 20, .on = 1, .call = tank->call};
  return OK;
}
int fmi2SetReal(void *c, const unsigned *at, size_t n, const double *value) {
  tank_t *tank = c;
  double *reals[] = {&tank->power, &tank->tau, &tank->level};
  for (size_t i = 0; i < n; i++) *reals[at[i]] = value[i];
  return OK;
}
int fmi2GetReal(void *c, const unsigned *at, size_t n, double *value) {
  tank_t *tank = c;
  double reals[] = {tank->power, tank->tau, tank->power == 98 ? NAN : tank->level};
  for (size_t i = 0; i < n; i++) value[i] = reals[at[i]];
  return OK;
}
int fmi2SetBoolean(void *c, const unsigned *at, size_t n, const int *value) {
  ((tank_t *)c)->on = value[0];
  return OK;
}
int fmi2GetInteger(void *c, const unsigned *at, size_t n, int *value) {
  value[0] = ((tank_t *)c)->steps;
  return OK;
}
int fmi2GetBooleanStatus(void *c, int what, int *value) {
  *value = ((tank_t *)c)->end;
  return OK;
}
int fmi2DoStep(void *c, double t, double dt, int keep) {
  tank_t *tank = c;
  if (fabs(t - tank->t) > 1e-9) return complain(tank, ERROR, "asked for another time than mine");
  switch ((int)tank->power) {
  case 91: return complain(tank, DISCARD, "too steep");
  case 92: tank->end = 1; return complain(tank, DISCARD, "enough");
  case 93: return complain(tank, ERROR, "no solution");
  case 94: return complain(tank, FATAL, "out of memory");
  case 95: abort();
  case 97: return 42;
  }
  double rest = 20 + (tank->on ? tank->power : 0);
  tank->level = rest + (tank->level - rest) * exp(-dt / tank->tau);
  tank->t += dt;
  tank->steps++;
  return OK;
}
