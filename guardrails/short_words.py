"""The common English words of up to four letters, and small words of its neighbours.

Short words that stand beside each other may spell a denied one (`the pen is red`). Parts that are longer, or
stand here in no list, do so by intent.
"""

from __future__ import annotations

from typing import Final

ENGLISH: Final = """
a i o ad ah am an as at be by do go ha he hi if in is it me my no of oh ok on or ow ox pa so to up us we ye
yo act add ado age ago aid aim air ale all and ant any ape apt arc are ark arm art ash ask ate axe bad bag
ban bar bat bay bed bee beg bet bid big bin bit boa bog bow box boy bud bug bun bus but buy bye cab can cap
car cat cod cog cop cot cow cry cub cue cup cut dad dam day den dew did die dig dim dip dog dot dry due dye
ear eat ebb egg ego elf elk elm end era eve ewe eye fan far fat fed fee few fig fin fir fit fix flu fly foe
fog for fox fry fun fur gap gas gem get got gum gun gut guy gym had ham has hat hay hem hen her hid him hip
his hit hot how hub hue hug hut ice icy ill ink inn ion its ivy jam jar jaw jay jet job jog joy jug key kid
kit lab lad lag lap law lay led leg let lid lie lip lit log lot low mad man map mat may men met mid mix mob
mop mud mug nap net new nip nod nor not now nut oak oar oat odd off oil old one opt orb ore our out owe owl
own pad pal pan par pat paw pay pea peg pen per pet pie pig pin pit ply pod pop pot pro pub put rag ram ran
rap rat raw ray red rib rid rig rim rip rob rod rot row rub rug rum run rye sad sap sat saw say sea see set
sew she shy sin sip sir sit six ski sky sly sob son sow spa spy sub sue sum sun tab tag tan tap tar tax tea
ten the thy tie tin tip toe ton too top toy try tub tug two use van vet via vow wag war was wax way web wed
wet who why wig win wit won wow yes yet you zoo able acid aged also arch area army away baby back bake ball
band bank bare bark barn base bath bead beam bean bear beat been beer bell belt bend bent best bike bill
bind bird bite blow blue blur boat body boil bold bolt bone book boot bore born boss both bowl brow bulb
bulk bull burn bush busy cake calf call calm came camp cane card care cart case cash cast cave cell chat
chef chin chip city clap clay clip club coal coat code coil coin cold come cook cool copy cord core cork
corn cost crab crew crop crow cube cure curl dark dash data date dawn days dead deal dear deck deep deer
desk dial dice died diet disc dish dive dock does doll dome done door dose down drag draw drew drop drum
dual duck dull dusk dust duty each earn ease east easy edge else even ever evil exit face fact fade fail
fair fall fame farm fast fate fear feed feel feet fell felt fern file fill film find fine fire firm fish
fist five flag flat flea flew flip flow foam foil fold folk font food foot fork form fort four free frog
from fuel full fund fuse gain game gate gave gaze gear germ gift girl give glad glow glue goal goat goes
gold golf gone good gown grab gray grew grey grid grin grip grow gulf hair half hall halo hand hang hard
harp hate have hawk head heal heap hear heat heel held helm help herb here hero hide high hill hint hire
hold hole home hood hook hope horn hose host hour huge hull hung hunt hush idea idle inch into iron item
jazz join joke july jump june just keen keep kept kick kind king kite knee knew knit knot know lace lack
lady lake lamb lamp land lane last late lava lawn lead leaf lean leap left lens less life lift like limb
lime line link lion list live load loaf loan lock loft long look loom loop lord lose loss lost loud love
luck lung made mail main make male many mark mask mass mast mate math maze meal mean meat meet melt menu
mess mice mild mile milk mill mind mine mint miss mist mode mood moon more moss most moth move much myth
nail name navy near neat neck need nest news next nice nine node none noon norm nose note noun oath obey
once only onto open oval oven over pace pack page paid pail pain pair pale palm park part pass past path
peak pear peel pier pike pile pine pink pint pipe plan play plot plum poem poet pole pond pony pool poor
port pose post pour pray prey pull pulp pump pure push quiz race rack raft rail rain ramp rang rank rare
rate read real rear reed reef rely rent rest rice rich ride ring riot ripe rise risk road roam roar robe
rock rode role roll roof room root rope rose rosy ruby rude ruin rule rush rust safe sage said sail salt
same sand sang save scar seal seat seed seek seem seen self sell send sent shed ship shoe shop shot show
shut sick side sign silk sing sink site size skin slab sled slid slim slip slow snap snow soap sock soft
soil sold sole some song soon sort soul soup sour spin spot star stay stem step stir stop such suit sung
sure surf swam swan swim tail take tale talk tall tame tank tape task taxi team tear tell tend tent term
test text than that thaw them then they thin this thus tide tidy tied tile till time tint tiny tire toad
told toll tomb tone took tool torn toss tour town trap tray tree trim trip true tube tuna tune turn twig
twin type ugly unit upon used vain vase vast veil vein very vest view vine vote wade wage wait wake walk
wall want ward warm warn wary wash wasp wave ways weak wear weed week well went were west what when whip
whom wide wife wild will wind wine wing wink wipe wire wise wish with wolf wood wool word wore work worm
worn wrap yard yarn year yoga your zero zinc zone zoom
"""
OTHERS: Final = """
e o y al au da de di du el en er es et il im la le lo na no nu og os se te tu um un zu aux das del dem den
der des die een ein het ist las les los mit par pas per por sur una und une uno van von zum eine pour della
"""
COMMON: Final = frozenset((ENGLISH + OTHERS).split())
