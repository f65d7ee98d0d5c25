#include "wtgram.h"
