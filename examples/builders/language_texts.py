"""The sentences from which `language` learns: everyday talk, thirty lines in each of five languages."""

ENGLISH = """
Good morning, how are you today?
I would like a cup of coffee and a piece of cake.
The train to the city leaves at nine o'clock.
Where is the nearest station, please?
She has been working in the garden all day.
We are going to the cinema with our friends.
It is raining, so take your umbrella with you.
The children play in the park after school.
He does not know what time it is.
My brother lives in a small house near the sea.
Can you help me with this heavy suitcase?
They have bought a new car this week.
I am very tired and I want to sleep.
The book on the table is mine.
What do you think about the weather?
There is a good restaurant on the other side of the street.
This is the best film that I have ever seen.
You should not be late for the meeting.
Our neighbours have two dogs and a cat.
Do you have any questions about the work?
The water in the lake was cold but clear.
I will call you when I get home.
She reads the newspaper every morning before work.
We had a wonderful time with your family.
How much does this shirt cost?
The shop is closed on Sunday.
He is looking for his keys and his phone.
I don't understand why it was so difficult.
They want to learn a new language this year.
Thank you for the help, it was very kind of you.
"""

GERMAN = """
Guten Morgen, wie geht es dir heute?
Ich möchte eine Tasse Kaffee und ein Stück Kuchen.
Der Zug in die Stadt fährt um neun Uhr ab.
Wo ist der nächste Bahnhof, bitte?
Sie hat den ganzen Tag im Garten gearbeitet.
Wir gehen mit unseren Freunden ins Kino.
Es regnet, also nimm deinen Schirm mit.
Die Kinder spielen nach der Schule im Park.
Er weiß nicht, wie spät es ist.
Mein Bruder wohnt in einem kleinen Haus am Meer.
Kannst du mir mit diesem schweren Koffer helfen?
Sie haben diese Woche ein neues Auto gekauft.
Ich bin sehr müde und ich will schlafen.
Das Buch auf dem Tisch ist von mir.
Was denkst du über das Wetter?
Auf der anderen Seite der Straße gibt es ein gutes Restaurant.
Das ist der beste Film, den ich je gesehen habe.
Du solltest nicht zu spät zu der Sitzung kommen.
Unsere Nachbarn haben zwei Hunde und eine Katze.
Haben Sie noch Fragen zu der Arbeit?
Das Wasser im See war kalt, aber klar.
Ich rufe dich an, wenn ich zu Hause bin.
Sie liest jeden Morgen vor der Arbeit die Zeitung.
Wir hatten eine wunderbare Zeit mit deiner Familie.
Wie viel kostet dieses Hemd?
Der Laden ist am Sonntag nicht auf.
Er sucht seine Schlüssel und sein Telefon.
Ich verstehe nicht, warum es so schwer war.
Sie wollen in diesem Jahr eine neue Sprache lernen.
Vielen Dank für die Hilfe, das war sehr nett von Ihnen.
"""

FRENCH = """
Bonjour, comment allez-vous ce matin?
Je voudrais une tasse de café et un morceau de gâteau.
Le train pour la ville part à neuf heures.
Où est la gare la plus proche, s'il vous plaît?
Elle a travaillé dans le jardin toute la journée.
Nous allons au cinéma avec nos amis.
Il pleut, alors prends ton parapluie avec toi.
Les enfants jouent dans le parc après l'école.
Il ne sait pas quelle heure il est.
Mon frère habite dans une petite maison près de la mer.
Est-ce que tu peux m'aider avec cette valise?
Ils ont acheté une nouvelle voiture cette semaine.
Je suis très fatigué et je veux dormir.
Le livre sur la table est à moi.
Que penses-tu de ce temps?
Il y a un bon restaurant de l'autre côté de la rue.
C'est le meilleur film que je connaisse.
Vous ne devez pas être en retard pour la réunion.
Nos voisins ont deux chiens et un chat.
Avez-vous des questions sur le travail?
Le lac est grand et les montagnes sont belles.
Je vous appelle quand je suis à la maison.
Elle lit le journal tous les matins avant le travail.
Nous avons passé de bons moments avec ta famille.
Combien coûte cette chemise?
Le magasin est fermé le dimanche.
Il cherche ses clés et son téléphone.
Je ne comprends pas pourquoi c'est si difficile.
Ils veulent apprendre une langue nouvelle cette année.
Merci pour votre aide, c'est très gentil de votre part.
"""

SPANISH = """
Buenos días, ¿cómo estás hoy?
Quisiera una taza de café y un trozo de tarta.
El tren a la ciudad sale a las nueve.
¿Dónde está la estación más cercana, por favor?
Ella ha trabajado en el jardín todo el día.
Vamos al cine con nuestros amigos.
Está lloviendo, así que lleva el paraguas.
Los niños juegan en el parque después de la escuela.
Él no sabe qué hora es.
Mi hermano vive en una casa pequeña cerca del mar.
¿Me puedes ayudar con esta maleta?
Ellos han comprado un coche nuevo esta semana.
Estoy muy cansado y quiero dormir.
El libro que está en la mesa es mío.
¿Qué piensas del tiempo?
Hay un buen restaurante al otro lado de la calle.
Es la mejor película que he visto en mi vida.
No debes llegar tarde a la reunión.
Nuestros vecinos tienen dos perros y un gato.
¿Tiene usted preguntas sobre el trabajo?
El agua del lago estaba fría, pero muy clara.
Te llamo cuando llegue a casa.
Ella lee el periódico todas las mañanas antes del trabajo.
Lo pasamos muy bien con tu familia.
¿Cuánto cuesta esta camisa?
La tienda está cerrada los domingos.
Él busca sus llaves y su teléfono.
No entiendo por qué es tan difícil.
Ellos quieren aprender una lengua nueva este año.
Muchas gracias por la ayuda, ha sido usted muy amable.
"""

ITALIAN = """
Buongiorno, come stai oggi?
Vorrei una tazza di caffè e un pezzo di torta.
Il treno per la città parte alle nove.
Dove è la stazione più vicina, per favore?
Lei ha lavorato nel giardino tutto il giorno.
Andiamo al cinema con i nostri amici.
Piove, quindi prendi il tuo ombrello.
I bambini giocano nel parco dopo la scuola.
Lui non sa che ore sono.
Mio fratello vive in una piccola casa vicino al mare.
Mi puoi aiutare con questa valigia?
Hanno comprato una macchina nuova questa settimana.
Sono molto stanco e voglio dormire.
Il libro che è sul tavolo è mio.
Che cosa pensi del tempo?
Ci sono due buoni ristoranti nella strada vicina.
Questo è il film più bello che ho visto.
Non devi arrivare in ritardo alla riunione.
I nostri vicini hanno due cani e un gatto.
Avete delle domande sul lavoro?
Il lago è grande e le montagne sono belle.
Ti chiamo quando arrivo a casa.
Lei legge il giornale tutte le mattine prima del lavoro.
Siamo stati molto bene con la tua famiglia.
Quanto costa questa camicia?
Il negozio è chiuso di domenica.
Lui cerca le sue chiavi e il suo telefono.
Non capisco perché è così difficile.
Vogliono imparare una nuova lingua questo anno.
Grazie per il vostro aiuto, siete molto gentili.
"""

SENTENCES: dict[str, list[str]] = {
    "de": GERMAN.strip().splitlines(),
    "en": ENGLISH.strip().splitlines(),
    "es": SPANISH.strip().splitlines(),
    "fr": FRENCH.strip().splitlines(),
    "it": ITALIAN.strip().splitlines(),
}
