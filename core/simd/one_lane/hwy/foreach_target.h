// Highway compiles HWY_TARGET_INCLUDE once per target from here. One lane is the only target, and the file itself is its pass.
#pragma once
