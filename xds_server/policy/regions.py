"""Facts about the regions of the large clouds: name, country, continent, latitude and longitude.

Coordinates are those of the city or area that the cloud names for the region, to about a tenth of a degree:
they only order regions by distance.
"""

from __future__ import annotations

REGIONS: dict[str, str] = {
    "aws": """
        af-south-1      za  af  -33.92   18.42
        ap-east-1       hk  as   22.32  114.17
        ap-east-2       tw  as   25.03  121.57
        ap-northeast-1  jp  as   35.68  139.69
        ap-northeast-2  kr  as   37.57  126.98
        ap-northeast-3  jp  as   34.69  135.50
        ap-south-1      in  as   19.08   72.88
        ap-south-2      in  as   17.39   78.49
        ap-southeast-1  sg  as    1.35  103.82
        ap-southeast-2  au  oc  -33.87  151.21
        ap-southeast-3  id  as   -6.21  106.85
        ap-southeast-4  au  oc  -37.81  144.96
        ap-southeast-5  my  as    3.14  101.69
        ap-southeast-6  nz  oc  -36.85  174.76
        ap-southeast-7  th  as   13.76  100.50
        ca-central-1    ca  na   45.50  -73.57
        ca-west-1       ca  na   51.05 -114.07
        cn-north-1      cn  as   39.90  116.41
        cn-northwest-1  cn  as   37.50  105.19
        eu-central-1    de  eu   50.11    8.68
        eu-central-2    ch  eu   47.38    8.54
        eu-north-1      se  eu   59.33   18.07
        eu-south-1      it  eu   45.46    9.19
        eu-south-2      es  eu   41.65   -0.88
        eu-west-1       ie  eu   53.35   -6.26
        eu-west-2       gb  eu   51.51   -0.13
        eu-west-3       fr  eu   48.86    2.35
        il-central-1    il  as   32.09   34.78
        me-central-1    ae  as   24.45   54.38
        me-south-1      bh  as   26.07   50.56
        mx-central-1    mx  na   20.59 -100.39
        sa-east-1       br  sa  -23.55  -46.63
        us-east-1       us  na   38.95  -77.45
        us-east-2       us  na   39.96  -83.00
        us-gov-east-1   us  na   39.96  -83.00
        us-gov-west-1   us  na   45.84 -119.70
        us-west-1       us  na   37.35 -121.96
        us-west-2       us  na   45.84 -119.70
    """,
    "gcp": """
        africa-south1            za  af  -26.20   28.05
        asia-east1               tw  as   24.05  120.52
        asia-east2               hk  as   22.32  114.17
        asia-northeast1          jp  as   35.68  139.69
        asia-northeast2          jp  as   34.69  135.50
        asia-northeast3          kr  as   37.57  126.98
        asia-south1              in  as   19.08   72.88
        asia-south2              in  as   28.61   77.21
        asia-southeast1          sg  as    1.34  103.71
        asia-southeast2          id  as   -6.21  106.85
        australia-southeast1     au  oc  -33.87  151.21
        australia-southeast2     au  oc  -37.81  144.96
        europe-central2          pl  eu   52.23   21.01
        europe-north1            fi  eu   60.57   27.19
        europe-north2            se  eu   59.33   18.07
        europe-southwest1        es  eu   40.42   -3.70
        europe-west1             be  eu   50.45    3.82
        europe-west2             gb  eu   51.51   -0.13
        europe-west3             de  eu   50.11    8.68
        europe-west4             nl  eu   53.44    6.83
        europe-west6             ch  eu   47.38    8.54
        europe-west8             it  eu   45.46    9.19
        europe-west9             fr  eu   48.86    2.35
        europe-west10            de  eu   52.52   13.40
        europe-west12            it  eu   45.07    7.69
        me-central1              qa  as   25.29   51.53
        me-central2              sa  as   26.43   50.10
        me-west1                 il  as   32.09   34.78
        northamerica-northeast1  ca  na   45.50  -73.57
        northamerica-northeast2  ca  na   43.65  -79.38
        northamerica-south1      mx  na   20.59 -100.39
        southamerica-east1       br  sa  -23.55  -46.63
        southamerica-west1       cl  sa  -33.45  -70.67
        us-central1              us  na   41.26  -95.86
        us-east1                 us  na   33.20  -80.01
        us-east4                 us  na   39.04  -77.49
        us-east5                 us  na   39.96  -83.00
        us-south1                us  na   32.78  -96.80
        us-west1                 us  na   45.59 -121.18
        us-west2                 us  na   34.05 -118.24
        us-west3                 us  na   40.76 -111.89
        us-west4                 us  na   36.17 -115.14
    """,
    "azure": """
        australiacentral    au  oc  -35.28  149.13
        australiaeast       au  oc  -33.87  151.21
        australiasoutheast  au  oc  -37.81  144.96
        austriaeast         at  eu   48.21   16.37
        brazilsouth         br  sa  -23.55  -46.63
        brazilsoutheast     br  sa  -22.91  -43.17
        canadacentral       ca  na   43.65  -79.38
        canadaeast          ca  na   46.81  -71.21
        centralindia        in  as   18.52   73.86
        centralus           us  na   41.59  -93.62
        chilecentral        cl  sa  -33.45  -70.67
        eastasia            hk  as   22.32  114.17
        eastus              us  na   37.37  -79.82
        eastus2             us  na   36.67  -78.39
        francecentral       fr  eu   48.86    2.35
        francesouth         fr  eu   43.30    5.37
        germanynorth        de  eu   53.07    8.81
        germanywestcentral  de  eu   50.11    8.68
        indonesiacentral    id  as   -6.21  106.85
        israelcentral       il  as   32.09   34.78
        italynorth          it  eu   45.46    9.19
        japaneast           jp  as   35.68  139.69
        japanwest           jp  as   34.69  135.50
        koreacentral        kr  as   37.57  126.98
        koreasouth          kr  as   35.18  129.08
        malaysiawest        my  as    3.14  101.69
        mexicocentral       mx  na   20.59 -100.39
        newzealandnorth     nz  oc  -36.85  174.76
        northcentralus      us  na   41.88  -87.63
        northeurope         ie  eu   53.35   -6.26
        norwayeast          no  eu   59.91   10.75
        norwaywest          no  eu   58.97    5.73
        polandcentral       pl  eu   52.23   21.01
        qatarcentral        qa  as   25.29   51.53
        southafricanorth    za  af  -26.20   28.05
        southafricawest     za  af  -33.92   18.42
        southcentralus      us  na   29.42  -98.49
        southeastasia       sg  as    1.35  103.82
        southindia          in  as   13.08   80.27
        spaincentral        es  eu   40.42   -3.70
        swedencentral       se  eu   60.67   17.14
        switzerlandnorth    ch  eu   47.38    8.54
        switzerlandwest     ch  eu   46.20    6.14
        uaecentral          ae  as   24.45   54.38
        uaenorth            ae  as   25.20   55.27
        uksouth             gb  eu   51.51   -0.13
        ukwest              gb  eu   51.48   -3.18
        westcentralus       us  na   41.14 -104.82
        westeurope          nl  eu   52.37    4.90
        westindia           in  as   19.08   72.88
        westus              us  na   37.78 -122.42
        westus2             us  na   47.23 -119.85
        westus3             us  na   33.45 -112.07
    """,
}
